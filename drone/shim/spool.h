#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "common/base/vocabulary.h"
#include "common/journal/record.h"
#include "common/journal/stream_digest.h"

namespace waggle::shim {

// Numbers, digests and batches the records of one attempt. Add() only gathers; Flush() hands all gathered
// records to the journal in one append. After a failed Flush the records stay, and the next Flush tries the
// same bytes again: nothing is numbered or hashed twice. The caller bounds the batch by not reading pipes
// while pending(). One thread.
class Spool {
 public:
  // journal::Writer::AppendRaw in production.
  using Append = std::function<absl::Status(std::string_view records, Seq new_last)>;

  Spool(Epoch epoch, Append append) : epoch_(epoch), append_(std::move(append)) {}

  void SetPhase(Phase phase) { phase_ = static_cast<std::uint8_t>(phase); }
  // Splits a payload above limits::kRecordPayload: output into several records, text is cut.
  void Add(journal::Kind kind, std::uint32_t command, std::string_view payload, Time now);
  // ResourceExhausted: no space for now, call again later. Any other error is final.
  absl::Status Flush();

  bool pending() const { return !batch_.empty(); }
  std::size_t pending_bytes() const { return batch_.size(); }
  Seq last() const { return flushed_; }  // in the journal
  Seq next() const { return Seq(last_.value() + 1); }
  std::uint64_t output_bytes() const { return out_.bytes() + err_.bytes(); }
  journal::StreamTotal out_total() const { return out_.Total(); }
  journal::StreamTotal err_total() const { return err_.Total(); }

 private:
  void AddOne(journal::Kind kind, std::uint32_t command, std::string_view payload, Time now);

  const Epoch epoch_;
  const Append append_;
  std::string batch_;
  Seq last_, flushed_;
  std::uint8_t phase_ = 0;
  journal::StreamDigest out_, err_;
};

}  // namespace waggle::shim
