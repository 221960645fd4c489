#include "common/journal/scan.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/journal/reader.h"

namespace waggle::journal {
namespace {

constexpr std::size_t kChunk = 1 * limits::kMiB;

// The file name alone: messages about a stored log never carry the path of the data directory.
std::string BaseName(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

class Scanner {
 public:
  Scanner(const Location& location, Epoch epoch,
          const std::function<void(const RecordView&, Position)>& visit)
      : location_(location), epoch_(epoch), visit_(visit) {}

  // `left`: records before segment `first` are known to have been there.
  absl::StatusOr<Tail> Run(std::uint32_t first, bool left, Seq after = Seq()) {
    follows_ = !left;
    tail_.last = after;
    for (std::uint32_t number = first;; ++number) {
      absl::StatusOr<UniqueFd> file = Open(location_.Segment(number), O_RDONLY);
      if (absl::IsNotFound(file.status())) break;
      if (!file.ok()) return file.status();
      ASSIGN_OR_RETURN(bool whole, ScanSegment(file->get(), number));
      if (!whole) break;
    }
    return tail_;
  }

 private:
  // False: the scan ends in this segment because of tail_.problem.
  absl::StatusOr<bool> ScanSegment(int file, std::uint32_t number) {
    std::string buffer(kSegmentHeaderBytes, '\0');
    ASSIGN_OR_RETURN(std::size_t got, PreadFull(file, std::as_writable_bytes(std::span(buffer)), 0));
    buffer.resize(got);
    if (got == 0 && number == 0) return false;  // not begun
    absl::StatusOr<SegmentHeader> header = DecodeSegmentHeader(buffer);
    if (!header.ok()) return Problem(number, 0, std::string(header.status().message()));
    if (header->epoch != epoch_) {
      return Problem(number, 0, absl::StrCat("segment belongs to epoch ", header->epoch.value()));
    }
    if (!std::exchange(follows_, true) && header->first.value() > 0) {
      tail_.last = Seq(header->first.value() - 1);
    }
    if (header->number != number || header->first.value() != tail_.last.value() + 1) {
      return Problem(number, 0,
                     absl::StrCat("segment starts at record ", header->first.value(), " instead of ",
                                  tail_.last.value() + 1));
    }
    if (tail_.final) return Problem(number, 0, "a segment follows the final record");
    tail_.segment = number;
    tail_.position = kSegmentHeaderBytes;
    return ScanRecords(file, number);
  }

  absl::StatusOr<bool> ScanRecords(int file, std::uint32_t number) {
    std::string buffer;
    std::size_t used = 0;
    for (;;) {
      buffer.erase(0, used);
      used = 0;
      std::size_t kept = buffer.size();
      const std::uint64_t end = tail_.position + kept;
      ASSIGN_OR_RETURN(const std::uint64_t size, FileSize(file));
      buffer.resize(kept + std::min<std::uint64_t>(kChunk, size - std::min(size, end)));
      ASSIGN_OR_RETURN(
          std::size_t got,
          PreadFull(file, std::as_writable_bytes(std::span(buffer).subspan(kept)), static_cast<off_t>(end)));
      buffer.resize(kept + got);
      RecordView record;
      DecodeResult result;
      while ((result = DecodeRecord(std::string_view(buffer).substr(used), &record)) == DecodeResult::kOk) {
        std::string why = Check(record.header);
        if (!why.empty()) return Problem(number, tail_.position, why);
        if (visit_) visit_(record, Position{number, tail_.position});
        tail_.last = record.header.seq;
        tail_.final = record.header.kind == Kind::kFinal;
        tail_.position += record.raw.size();
        used += record.raw.size();
      }
      if (result == DecodeResult::kBad) {
        return Problem(number, tail_.position,
                       absl::StrCat("record ", tail_.last.value() + 1, " is damaged (checksum or size)"));
      }
      if (got == 0) {
        if (used == buffer.size()) return true;
        return Problem(number, tail_.position,
                       absl::StrCat("record ", tail_.last.value() + 1, " is cut off after ",
                                    buffer.size() - used, " bytes"));
      }
    }
  }

  std::string Check(const RecordHeader& header) const {
    if (header.epoch != epoch_) return absl::StrCat("record of epoch ", header.epoch.value());
    if (header.seq.value() != tail_.last.value() + 1) {
      return absl::StrCat("record ", header.seq.value(), " stands where ", tail_.last.value() + 1,
                          " belongs");
    }
    if (tail_.final) return absl::StrCat("record ", header.seq.value(), " follows the final record");
    return "";
  }

  bool Problem(std::uint32_t segment, std::uint64_t position, std::string why) {
    tail_.problem = absl::StrCat(BaseName(location_.Segment(segment)), " at byte ", position, ": ", why);
    return false;
  }

  const Location& location_;
  const Epoch epoch_;
  const std::function<void(const RecordView&, Position)>& visit_;
  bool follows_ = true;  // the next segment goes on where tail_ ends
  Tail tail_;
};

}  // namespace

absl::StatusOr<Tail> Scan(const Location& location, Epoch epoch,
                          const std::function<void(const RecordView&, Position)>& visit) {
  return Scanner(location, epoch, visit).Run(0, /*left=*/false);
}

absl::StatusOr<Tail> ScanLeft(const Location& location, Epoch epoch,
                              const std::function<void(const RecordView&, Position)>& visit) {
  ASSIGN_OR_RETURN(const std::vector<std::uint32_t> numbers, ListSegments(location));
  if (numbers.empty()) return Tail{};
  return Scanner(location, epoch, visit).Run(numbers.front(), /*left=*/numbers.front() > 0);
}

absl::StatusOr<Tail> ScanBehind(const Location& location, Epoch epoch, Seq after,
                                const std::function<void(const RecordView&, Position)>& visit) {
  return Scanner(location, epoch, visit).Run(0, /*left=*/false, after);
}

namespace {

// Every record of a journal up to `last`. DataLoss: it does not go so far.
absl::Status VisitUpTo(const Location& location, Seq last,
                       const std::function<void(const RecordView&, Position)>& visit) {
  Reader reader(location);
  std::string raw;
  while (reader.next() <= last) {
    raw.clear();
    ASSIGN_OR_RETURN(const std::size_t count, reader.ReadRaw(limits::kLogBatch, last, &raw));
    if (count == 0) {
      return absl::DataLossError(absl::StrCat(BaseName(location.Segment(0)), " ends at record ",
                                              reader.next().value() - 1, ", before ", last.value()));
    }
    ForEachRecord(raw, [&](const RecordView& record) { visit(record, Position{}); });
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<VerifyResult> Verify(const Location& location, Epoch epoch) {
  return VerifyBehind(location, Seq(), location, epoch);
}

absl::StatusOr<VerifyResult> VerifyBehind(const Location& before, Seq after, const Location& location,
                                          Epoch epoch) {
  VerifyResult result;
  StreamDigest out, err;
  std::string offset_problem;
  std::optional<Final> final;
  auto visit = [&](const RecordView& record, Position position) {
    ++result.records;
    const RecordHeader& header = record.header;
    if (IsOutput(header.kind)) {
      StreamDigest& digest = header.kind == Kind::kStdout ? out : err;
      if (header.offset != digest.bytes() && offset_problem.empty()) {
        offset_problem = absl::StrCat(
            BaseName(location.Segment(position.segment)), " at byte ", position.byte, ": record ",
            header.seq.value(), " starts at stream offset ", header.offset, " instead of ", digest.bytes());
      }
      digest.Update(record.payload);
    } else if (header.kind == Kind::kFinal) {
      final = DecodeFinal(record.payload);
    }
  };
  absl::Status first = VisitUpTo(before, after, visit);
  if (!first.ok()) {
    result.problem = std::string(first.message());
    return result;
  }
  ASSIGN_OR_RETURN(Tail tail, ScanBehind(location, epoch, after, visit));
  result.out = out.Total();
  result.err = err.Total();
  auto differs = [](std::string_view stream, const StreamTotal& said,
                    const StreamTotal& found) -> std::string {
    if (said == found) return "";
    return absl::StrCat(absl::string_view(stream.data(), stream.size()), " has ", found.bytes,
                        " bytes; the final record says ", said.bytes,
                        said.bytes == found.bytes ? " but another digest" : "");
  };
  if (!tail.problem.empty()) {
    result.problem = tail.problem;
  } else if (!offset_problem.empty()) {
    result.problem = offset_problem;
  } else if (!tail.final) {
    result.problem = absl::StrCat("no final record behind record ", tail.last.value());
    // The scan ended with the last segment, or in front of one that is gone.
    const std::uint32_t next = tail.last == after ? 0 : tail.segment + 1;
    ASSIGN_OR_RETURN(const std::vector<std::uint32_t> numbers, ListSegments(location));
    if (!numbers.empty() && numbers.back() >= next) {
      absl::StrAppend(&result.problem, ": ", BaseName(location.Segment(next)),
                      " is missing, later ones are there");
    }
  } else if (!final) {
    result.problem = absl::StrCat("the final record ", tail.last.value(), " cannot be read");
  } else if (final->last != tail.last) {
    result.problem =
        absl::StrCat("the final record ", tail.last.value(), " says it is record ", final->last.value());
  } else {
    result.problem = differs("stdout", final->out, result.out);
    if (result.problem.empty()) result.problem = differs("stderr", final->err, result.err);
  }
  result.complete = result.problem.empty();
  return result;
}

}  // namespace waggle::journal
