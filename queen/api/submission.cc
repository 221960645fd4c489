#include "queen/api/submission.h"

#include <openssl/sha.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/limits.h"
#include "common/base/status_macros.h"
#include "queen/core/submissions.h"

namespace waggle::queen {
namespace {

bool IsPlain(char c) {
  return c > ' ' && c < 0x7f;
}

}  // namespace

absl::StatusOr<event::SubmissionKey> MakeSubmissionKey(std::string_view user, const std::string& chosen,
                                                       std::string_view asked) {
  if (chosen.empty()) return event::SubmissionKey();
  if (chosen.size() > limits::kNameBytes || !std::all_of(chosen.begin(), chosen.end(), IsPlain)) {
    return absl::InvalidArgumentError(
        absl::StrCat("key: at most ", limits::kNameBytes, " printable ASCII characters without spaces"));
  }
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(asked.data()), asked.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return event::SubmissionKey{absl::StrCat(std::string(user), " ", chosen), absl::BytesToHexString(digest)};
}

absl::StatusOr<SubmissionRow> FindSubmission(StoreReader& store, const event::SubmissionKey& key) {
  ASSIGN_OR_RETURN(SubmissionRow known, store.GetSubmission(key.key));
  if (known.digest != key.digest) return KeyConflict(known);
  return known;
}

}  // namespace waggle::queen
