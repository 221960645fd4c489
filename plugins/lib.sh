# What the plugins of this folder share: the protocol of drone/plugins/README.md in POSIX sh. A plugin reads it with
#   . "$(dirname "$0")/../lib.sh"
# and finds its configuration in PLUGIN_NAME variables. Descriptor 3 is the channel; standard output is only shown.
set -eu

# json TEXT: as a JSON string, with its quotes.
json() {
  printf '%s\n' "$1" | LC_ALL=C awk '
    BEGIN {
      for (i = 1; i < 32; i++) short[sprintf("%c", i)] = sprintf("\\u%04x", i)
      short["\\"] = "\\\\"; short["\""] = "\\\""
      printf "\""
    }
    NR > 1 { printf "\\n" }
    {
      out = ""
      n = length($0)
      for (i = 1; i <= n; i++) { c = substr($0, i, 1); out = out (c in short ? short[c] : c) }
      printf "%s", out
    }
    END { printf "\"" }'
}

# list TEXT...: as a JSON list of strings.
list() {
  list_out=
  for list_item in "$@"; do list_out="$list_out${list_out:+,}$(json "$list_item")"; done
  printf '[%s]' "$list_out"
}

say() { printf '%s\n' "$1" >&3; }

set_env() { say "{\"env\":{$(json "$1"):$(json "$2")}}"; }                              # NAME VALUE
add_path() { say "{\"path\":$(list "$@")}"; }                                           # DIRECTORY...
run() { say "{\"command\":{\"name\":$(json "$1"),\"run\":$(json "$2")}}"; }             # NAME SCRIPT
comment() { say "{\"comment\":$(json "$1")}"; }                                         # TEXT
put() { say "{\"data\":{\"method\":\"replace\",\"path\":$(json "$1"),\"value\":$2}}"; } # PATH JSON

# NAME PROGRAM ARGUMENT...
argv() {
  argv_name=$1
  shift
  say "{\"command\":{\"name\":$(json "$argv_name"),\"argv\":$(list "$@")}}"
}

# TITLE DESCRIPTION [major]
warn() {
  say "{\"warning\":{\"title\":$(json "$1"),\"description\":$(json "$2"),\"severity\":\"${3:-minor}\"}}"
}

nothing() {
  say '{"nothing":true}'
  exit 0
}

say '{"hello":1}'
