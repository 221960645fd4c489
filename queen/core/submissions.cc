#include "queen/core/submissions.h"

#include "absl/strings/str_cat.h"

namespace waggle::queen {

absl::Status KeyConflict(const SubmissionRow& known) {
  const std::string what =
      known.run ? absl::StrCat("run r", known.run.value()) : absl::StrCat("job ", known.job.value());
  return absl::AlreadyExistsError(absl::StrCat("the key was used for ", what,
                                               ", which asks for something else\nnothing was started\n"
                                               "next: submit this with a key of its own"));
}

}  // namespace waggle::queen
