#include "common/redact/forms.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_replace.h"
#include "common/redact/encode.h"
#include "common/redact/wipe.h"

namespace waggle::redact {
namespace {

using Texts = std::vector<std::string>;

void AddBase64(std::string_view value, Alphabet alphabet, Texts* out) {
  std::string whole = Base64(value, alphabet);
  out->push_back(whole);
  while (whole.ends_with('=')) whole.pop_back();
  out->push_back(std::move(whole));
  for (std::size_t before : {0, 1, 2}) out->push_back(Base64Inside(value, before, alphabet));
}

// base64 breaks lines by itself. Only a value from its own first byte on is found that way; each line also
// alone, so that the lines of the log stay.
void AddWrapped(std::string_view value, Texts* out) {
  for (std::size_t columns : {76, 64}) {  // coreutils and MIME, OpenSSL and PEM
    for (std::string& text :
         Texts{Base64(value, Alphabet::kStandard), Base64Inside(value, 0, Alphabet::kStandard)}) {
      if (text.size() > columns) {
        std::string wrapped = Wrapped(text, columns);
        for (std::string_view line : MaskableLines(wrapped)) out->emplace_back(line);
        out->push_back(std::move(wrapped));
      }
      Wipe(&text);
    }
  }
}

void AddJson(std::string_view value, Texts* out) {
  for (Case digits : {Case::kLower, Case::kUpper}) {
    for (bool slash : {false, true}) {
      out->push_back(Json(value, {.slash = slash, .digits = digits}));
      out->push_back(Json(value, {.slash = slash, .ascii = true, .digits = digits}));
    }
    out->push_back(Json(value, {.html = true, .digits = digits}));
    out->push_back(Json(value, {.careful = true, .digits = digits}));
  }
}

void AddPercent(std::string_view value, Texts* out) {
  constexpr std::string_view kKeep[] = {
      "-._~",                  // RFC 3986
      "-._~/",                 // Python's quote
      "-._~!'()*",             // encodeURIComponent
      "-._~!'()*;/?:@&=+$,#",  // encodeURI
      "-._~$&+,;=",            // Go, user and password of a URL
  };
  for (Case digits : {Case::kUpper, Case::kLower}) {
    for (std::string_view keep : kKeep) out->push_back(Percent(value, keep, false, digits));
    for (std::string_view keep : {"-._~", "-._*"}) out->push_back(Percent(value, keep, true, digits));
  }
}

void AddShell(std::string_view value, Texts* out) {
  for (Shell style : {Shell::kSingle, Shell::kSinglePython, Shell::kDouble, Shell::kBackslash,
                      Shell::kBackslashAll, Shell::kAnsi, Shell::kAnsiOctal}) {
    out->push_back(ShellQuoted(value, style));
  }
}

// A text of one secret whose forms are looked for.
struct Base {
  std::string text;
  std::uint16_t owner;
};

struct Bases {
  std::vector<Base> whole, lines, other_ends;
  ~Bases() {
    for (auto* list : {&whole, &lines, &other_ends}) {
      for (Base& base : *list) Wipe(&base.text);
    }
  }
};

Bases MakeBases(std::span<const Secret> secrets) {
  Bases bases;
  for (std::size_t i = 0; i < secrets.size(); ++i) {
    const auto owner = static_cast<std::uint16_t>(i);
    const std::string_view value = Trimmed(secrets[i].value);
    bases.whole.push_back({std::string(value), owner});
    if (value.find_first_of("\r\n") == std::string_view::npos) continue;
    for (std::string_view line : MaskableLines(value)) bases.lines.push_back({std::string(line), owner});
    std::string lf = absl::StrReplaceAll({value.data(), value.size()}, {{"\r", ""}});
    std::string crlf = absl::StrReplaceAll(lf, {{"\n", "\r\n"}});
    for (std::string* text : {&lf, &crlf}) {
      if (*text != value) bases.other_ends.push_back({*text, owner});
      Wipe(text);
    }
  }
  return bases;
}

// Many times as long as the value, and seldom seen: not worth their memory for lines and other line ends.
bool IsLong(Form form) {
  return form == Form::kPercentAll || form == Form::kJsonAll;
}

// Takes forms as long as there is room, and the raw ones always.
class Collector {
 public:
  explicit Collector(std::size_t bound) : room_(bound) {}

  void Add(Form form, const std::vector<Base>& bases) {
    for (const Base& base : bases) {
      if (form != Form::kRaw && base.text.size() > room_) {  // no form is shorter: spare the work
        ++list_.left_out;
        continue;
      }
      Texts texts = Encoded(form, base.text);
      std::sort(texts.begin(), texts.end());
      texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
      for (std::string& text : texts) {
        if (form == Form::kRaw || text != base.text) Add(form, &text, base);
      }
    }
  }

  // Sorts, and makes one of equal patterns.
  PatternList Finish() && {
    auto& all = list_.patterns;
    std::sort(all.begin(), all.end(), [](const Pattern& a, const Pattern& b) { return a.bytes < b.bytes; });
    std::vector<Pattern> distinct;
    for (Pattern& pattern : all) {
      if (distinct.empty() || distinct.back().bytes != pattern.bytes) {
        distinct.push_back(std::move(pattern));
      } else {
        auto& owners = distinct.back().owners;
        const auto at = std::lower_bound(owners.begin(), owners.end(), pattern.owners[0]);
        if (at == owners.end() || *at != pattern.owners[0]) owners.insert(at, pattern.owners[0]);
      }
      Wipe(&pattern.bytes);
    }
    all = std::move(distinct);
    return std::move(list_);
  }

 private:
  void Add(Form form, std::string* text, const Base& base) {
    const bool fits = form == Form::kRaw || text->size() <= room_;
    if (Maskable(*text) && fits) {
      room_ -= std::min(room_, text->size());
      list_.patterns.push_back({*text, {base.owner}});
    } else if (!fits) {
      ++list_.left_out;
    }
    Wipe(text);
  }

  std::size_t room_;
  PatternList list_;
};

}  // namespace

std::vector<std::string> Encoded(Form form, std::string_view value) {
  Texts out;
  switch (form) {
    case Form::kRaw:
      out.emplace_back(value);
      break;
    case Form::kBase64:
      AddBase64(value, Alphabet::kStandard, &out);
      break;
    case Form::kBase64Url:
      AddBase64(value, Alphabet::kUrl, &out);
      break;
    case Form::kJson:
      AddJson(value, &out);
      break;
    case Form::kPercent:
      AddPercent(value, &out);
      break;
    case Form::kShell:
      AddShell(value, &out);
      break;
    case Form::kHex:
      for (Case digits : {Case::kLower, Case::kUpper}) out.push_back(Hex(value, digits));
      break;
    case Form::kUtf16:
      out.push_back(Utf16(value));
      break;
    case Form::kBase64Wrapped:
      AddWrapped(value, &out);
      break;
    case Form::kPercentAll:
      for (Case digits : {Case::kLower, Case::kUpper}) out.push_back(PercentAll(value, digits));
      break;
    case Form::kJsonAll:
      for (Case digits : {Case::kLower, Case::kUpper}) {
        out.push_back(Json(value, {.everything = true, .digits = digits}));
      }
      break;
  }
  return out;
}

PatternList MakePatterns(std::span<const Secret> secrets, std::size_t bound) {
  const Bases bases = MakeBases(secrets);
  Collector collector(bound);
  for (const auto* list : {&bases.whole, &bases.lines, &bases.other_ends}) collector.Add(Form::kRaw, *list);
  for (const auto* list : {&bases.whole, &bases.lines, &bases.other_ends}) {
    for (Form form : kForms) {
      if (form != Form::kRaw && (list == &bases.whole || !IsLong(form))) collector.Add(form, *list);
    }
  }
  return std::move(collector).Finish();
}

}  // namespace waggle::redact
