#include "common/config/settings.h"
#include <algorithm>

#include <cassert>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/duration.h"

namespace waggle::config {

const Settings::Slot& Settings::SlotOf(std::string_view key) const {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (program_->keys[i].name == key) return slots_[i];
  }
  assert(false && "a key that is not in the table");
  std::abort();
}

bool Settings::Has(std::string_view key) const {
  return SlotOf(key).value.has_value();
}

const std::string& Settings::Get(std::string_view key) const {
  static const std::string kNone;
  const Slot& slot = SlotOf(key);
  return slot.value ? slot.value->text : kNone;
}

std::int64_t Settings::GetWhole(std::string_view key) const {
  std::int64_t number = 0;
  [[maybe_unused]] const bool read = absl::SimpleAtoi(Get(key), &number);
  assert(read);
  return number;
}

double Settings::GetReal(std::string_view key) const {
  double number = 0;
  [[maybe_unused]] const bool read = absl::SimpleAtod(Get(key), &number);
  assert(read);
  return number;
}

std::chrono::milliseconds Settings::GetDuration(std::string_view key) const {
  return ParseDuration(Get(key)).value;
}

std::map<std::string, std::string> Settings::GetEntries(std::string_view key) const {
  std::map<std::string, std::string> out;
  for (const auto& [name, value] : SlotOf(key).entries) out[name] = value.text;
  return out;
}

const std::string& Settings::Origin(std::string_view key) const {
  static const std::string kNone;
  const Slot& slot = SlotOf(key);
  return slot.value ? slot.value->origin : kNone;
}

std::vector<Shown> Settings::All() const {
  std::vector<Shown> out;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Key& key = program_->keys[i];
    const std::string name(key.name);
    if (slots_[i].value) {
      out.push_back({name, slots_[i].value->text, slots_[i].value->origin});
    } else if (slots_[i].entries.empty()) {
      out.push_back({name, key.unset.empty() ? "not set, must be given" : std::string(key.unset), "", false});
    }
    for (const auto& [entry, value] : slots_[i].entries) {
      out.push_back({absl::StrCat(name, ".", entry), value.text, value.origin});
    }
  }
  return out;
}

absl::Status Settings::RequireAll() const {
  std::vector<std::string_view> keys;
  for (const Key& key : program_->keys) keys.push_back(key.name);
  return Require(keys);
}

absl::Status Settings::Require(const std::vector<std::string_view>& keys) const {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Key& key = program_->keys[i];
    if (slots_[i].value || !key.unset.empty()) continue;
    if (std::find(keys.begin(), keys.end(), key.name) == keys.end()) continue;
    const std::string name(key.name), program(program_->name);
    return absl::InvalidArgumentError(
        absl::StrCat("`", name, "` is not set: ", std::string(key.help), "\nnext: ", program, " serve ",
                     FlagOf(key), " ", std::string(key.placeholder), ", or ", VariableOf(*program_, key),
                     ", or `", name, ":` in /etc/", program, "/", program, ".yaml"));
  }
  return absl::OkStatus();
}

}  // namespace waggle::config
