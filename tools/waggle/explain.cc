#include "tools/waggle/explain.h"

namespace waggle::cli {
namespace {

constexpr Explanation kExplanations[] = {
    {"WG001", "cannot reach the queen",
     "Nothing answers as a queen at the address. The message says where the address comes from: a flag, a\n"
     "variable, a file, or the default /run/queen/queen.sock. `waggle config show --origin` shows them all.\n"
     "On this host start her with `queen serve`; elsewhere log in with `waggle login https://HOST:7875`."},
    {"WG002", "not logged in",
     "A queen on another host knows people by certificates. Her administrator makes a token with\n"
     "`queen invite user NAME`, and `waggle login` turns it into a certificate of yours. Each token works "
     "once."},
    {"WG100", "a value of a pipeline file is wrong",
     "The message names the place and what may stand there. All scalars are texts until the key says what "
     "they\n"
     "are, so `no`, `010` and `1.10` need no quotes. The file is a subset of YAML 1.2: no anchors, aliases, "
     "tags,\n"
     "merge keys or directives, one document, at most 1 MiB, 64 levels and 10,000 values."},
    {"WG101", "unknown key",
     "A key that means nothing here is an error, for a misspelt one would be without effect and nobody "
     "would\n"
     "notice. `waggle lint --schema` prints every key there is and where it may stand; an editor that reads "
     "it\n"
     "completes them."},
    {"WG102", "a key appears twice", "YAML would silently keep only one of the two. Merge them."},
    {"WG103", "a duration without a unit",
     "Write 90s, 10m, 2h or 1h30m. `10` could mean seconds to one reader and minutes to the next."},
    {"WG104", "a tab indents a line",
     "YAML indents by spaces alone. A tab inside a script, behind the spaces, is the script's and stays."},
    {"WG105", "a key this version does not act on",
     "The key is part of the grammar, and this version of Waggle cannot do yet what it asks for. It is "
     "refused\n"
     "because a job that silently runs without its services or its approval is worse than one that does not "
     "run."},
    {"WG106", "the order of the jobs",
     "`after` names jobs of the same file; with a matrix it means all their cells. A job cannot come after "
     "itself,\n"
     "neither directly nor through others. It waits until they have passed; with `when: {status: failed}`\n"
     "until all have ended and one failed, with `status: always` until all have ended."},
    {"WG107", "a matrix",
     "Axes are variable names with lists of different values: `matrix: {cc: [gcc, clang]}` makes two jobs, "
     "which\n"
     "have their value as $MATRIX_CC. An entry of `exclude` takes away all cells that have its values. An "
     "entry of\n"
     "`include` gives more values to the cells it names, or is a new cell if it names every axis and no cell "
     "that\n"
     "is there. Entries that do nothing are errors: most are slips."},
    {"WG108", "too many jobs",
     "A run has at most 1,000 jobs, and they take at most 64 MiB. The axes of a matrix are multiplied "
     "before\n"
     "`exclude` is looked at."},
    {"WG109", "a number outside its range",
     "The message names the range. Numbers are written with digits alone: 010, +1, 1e3 and 0x10 mean "
     "different\n"
     "things to different people."},
    {"WG110", "an unknown name in ${…}",
     "In fields such as `needs`, `timeout`, `concurrency` or the name of a step these are known: branch, "
     "tag,\n"
     "commit, event, name, and matrix.AXIS in a job that has the axis. `$${` is a plain `${`."},
    {"WG111", "events, patterns and schedules",
     "Events are manual, push, pull_request, tag, cron and deploy. In a pattern `*` stands for any "
     "characters,\n"
     "slashes too; every other character is itself. A schedule has five fields in UTC: minute, hour, day, "
     "month,\n"
     "weekday."},
    {"WG112", "the same thing in two places",
     "Two places that say the same thing will disagree some day. Keep one of them."},
    {"WG120", "${a.b} in a script",
     "Nothing is put into scripts before a shell reads them, so that the name of a branch or the message of "
     "a\n"
     "commit never becomes code. Values arrive as variables: $MATRIX_CC for `matrix.cc`, $CI_COMMIT_BRANCH,\n"
     "$CI_COMMIT_TAG, $CI_COMMIT_SHA, and what `env` and `vars` say. ${NAME} alone is the shell's and is "
     "left as\n"
     "it is; so is what follows a backslash."},
    {"WG501", "a token that does not work",
     "A token works once, for one name, until it expires. `queen invite drone NAME` or `queen invite user "
     "NAME`\n"
     "makes another."},
    {"WG502", "the queen is not the one that was meant",
     "Her certificate is not the one whose fingerprint the token or the login carries. Somebody may be in "
     "between,\n"
     "or she was set up anew. Nothing secret was sent. Ask her administrator before you try again."},
    {"WG600", "a setting is wrong",
     "The message names the flag, the variable, or the file with line and column. `waggle config keys`,\n"
     "`queen config keys` and `drone config keys` list what may be set."},
    {"WG601", "an unknown key in a configuration file", "As in a pipeline file, a misspelt key is an error."},
    {"WG602", "a key appears twice in a configuration file",
     "YAML would silently keep only one of the two. Merge them."},
    {"WG603", "a duration without a unit in a configuration file", "Write 90s, 10m, 2h or 1h30m."},
    {"WG604", "a tab indents a line of a configuration file", "YAML indents by spaces alone."},
    {"WG701", "a secret that could not be masked",
     "What is shorter than 6 characters, or one character again and again, stands everywhere in ordinary "
     "output:\n"
     "masking it would wreck every log. Use a longer value that nobody prints by chance."},
    {"WG702", "the name of a secret is wrong",
     "Secrets reach a job as variables, so they are named like them: letters, digits and _, no digit first."},
    {"WG703", "a secret is too large, or no text",
     "A secret is UTF-8 text without NUL, all secrets of a job together at most 64 KiB. Keep large files "
     "elsewhere\n"
     "and make their key the secret; set bytes as base64 that the job decodes."},
    {"WG710", "a plugin.yaml is wrong",
     "The message names the place and what may stand there; plugins/README.md shows a whole one."},
    {"WG711", "an unknown key in a plugin.yaml", "As in a pipeline file, a misspelt key is an error."},
    {"WG712", "a key appears twice in a plugin.yaml",
     "YAML would silently keep only one of the two. Merge them."},
    {"WG713", "a duration without a unit in a plugin.yaml", "Write 90s, 10m, 2h or 1h30m."},
    {"WG714", "a tab indents a line of a plugin.yaml", "YAML indents by spaces alone."},
};

}  // namespace

std::span<const Explanation> Explanations() {
  return kExplanations;
}

}  // namespace waggle::cli
