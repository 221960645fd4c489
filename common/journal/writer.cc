#include "common/journal/writer.h"

#include <fcntl.h>
#include <stdio.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/bytes.h"
#include "common/base/crc32c.h"
#include "common/base/status_macros.h"
#include "common/journal/scan.h"

namespace waggle::journal {
namespace {

constexpr std::string_view kMagic = "WGLJ";
constexpr std::uint32_t kVersion = 1;

}  // namespace

std::string Location::Segment(std::uint32_t number) const {
  return absl::StrFormat("%s/%s.%03u", directory, prefix, number);
}
std::string Location::Index() const {
  return absl::StrCat(directory, "/", prefix, ".idx");
}

absl::StatusOr<std::vector<std::uint32_t>> ListSegments(const Location& location) {
  const std::string prefix = location.prefix + ".";
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(location.directory));
  std::vector<std::uint32_t> numbers;
  for (const std::string& name : names) {
    std::uint32_t number = 0;
    if (!name.starts_with(prefix) || !absl::SimpleAtoi(name.substr(prefix.size()), &number)) continue;
    if (location.Segment(number) == absl::StrCat(location.directory, "/", name)) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string EncodeSegmentHeader(Epoch epoch, Seq first, std::uint32_t number) {
  std::string out(kMagic);
  ByteWriter w(&out);
  w.U32(kVersion);
  w.U64(epoch.value());
  w.U64(first.value());
  w.U32(number);
  w.U32(Crc32c(out.data(), out.size()));
  return out;
}

absl::StatusOr<SegmentHeader> DecodeSegmentHeader(std::string_view bytes) {
  if (bytes.size() < kSegmentHeaderBytes) return absl::DataLossError("the segment header is cut off");
  ByteReader r(bytes.substr(0, kSegmentHeaderBytes));
  std::string_view magic = r.Raw(kMagic.size());
  std::uint32_t version = r.U32();
  SegmentHeader header;
  header.epoch = Epoch(r.U64());
  header.first = Seq(r.U64());
  header.number = r.U32();
  if (magic != kMagic || r.U32() != Crc32c(bytes.data(), kSegmentHeaderBytes - 4)) {
    return absl::DataLossError("the segment header is damaged");
  }
  if (version != kVersion)
    return absl::DataLossError(absl::StrCat("segment version ", version, " is not known"));
  return header;
}

Writer::Writer(Location location, Epoch epoch, std::size_t segment_bytes, bool syncs)
    : location_(std::move(location)), epoch_(epoch), segment_bytes_(segment_bytes), syncs_(syncs) {}

absl::StatusOr<std::unique_ptr<Writer>> Writer::Create(Location location, Epoch epoch,
                                                       std::size_t segment_bytes, bool syncs) {
  std::unique_ptr<Writer> writer(new Writer(std::move(location), epoch, segment_bytes, syncs));
  RETURN_IF_ERROR(writer->OpenSegment(0, /*create=*/true));
  return writer;
}

absl::StatusOr<std::unique_ptr<Writer>> Writer::Recover(Location location, Epoch epoch,
                                                        std::size_t segment_bytes) {
  std::unique_ptr<Writer> writer(new Writer(std::move(location), epoch, segment_bytes, /*syncs=*/true));
  RETURN_IF_ERROR(writer->Settle(Seq()));
  return writer;
}

absl::StatusOr<std::unique_ptr<Writer>> Writer::RecoverBehind(Location location, Epoch epoch, Seq after) {
  std::unique_ptr<Writer> writer(new Writer(std::move(location), epoch, limits::kSegment, /*syncs=*/true));
  RETURN_IF_ERROR(writer->Settle(after));
  return writer;
}

absl::Status Writer::Settle(Seq after) {
  const Location& where = location_;
  ASSIGN_OR_RETURN(Tail tail, ScanBehind(where, epoch_, after, {}));
  const bool empty = tail.last == after;
  if (empty) {
    // Nothing that counts: begin again with a whole first segment.
    RETURN_IF_ERROR(RemoveFile(where.Segment(0)));
    tail_.last = after;
    RETURN_IF_ERROR(OpenSegment(0, /*create=*/true));
  } else {
    tail_ = tail;
    RETURN_IF_ERROR(OpenSegment(tail.segment, /*create=*/false));
    RETURN_IF_ERROR(Truncate(file_.get(), tail.position, where.Segment(tail.segment)));
  }
  // A new journal, the usual case, has nothing to settle. Segments behind a hole are seen by the index they
  // had.
  bool leftovers = !tail.problem.empty() || FileExists(where.Segment(1)) || FileExists(where.Index());
  return empty && !leftovers ? absl::OkStatus() : SettleRecovered();
}

absl::Status Writer::SettleRecovered() {
  // Behind a hole there may be segments that no count finds; left alone they would meet the ones to come.
  ASSIGN_OR_RETURN(const std::vector<std::uint32_t> numbers, ListSegments(location_));
  for (std::uint32_t number : numbers) {
    if (number > tail_.segment) RETURN_IF_ERROR(RemoveFile(location_.Segment(number)));
  }
  // Whoever wrote it may have died before its sync: what was found here is about to be called durable.
  for (std::uint32_t n = 0; n <= tail_.segment; ++n) {
    ASSIGN_OR_RETURN(UniqueFd file, Open(location_.Segment(n), O_RDONLY));
    RETURN_IF_ERROR(SyncData(file.get(), location_.Segment(n)));
  }
  return SyncDirectory(location_.directory);
}

absl::Status Writer::OpenSegment(std::uint32_t number, bool create) {
  std::string path = location_.Segment(number);
  int flags = create ? O_RDWR | O_CREAT : O_RDWR;
  ASSIGN_OR_RETURN(UniqueFd file, Open(path, flags));
  if (create) {
    ASSIGN_OR_RETURN(const std::uint64_t size, FileSize(file.get()));
    if (size > 0) return absl::AlreadyExistsError(absl::StrCat(path, " is there already"));
    Seq first(tail_.last.value() + 1);
    absl::Status written = PwriteAll(file.get(), EncodeSegmentHeader(epoch_, first, number), 0, path);
    if (!written.ok()) {
      RemoveFile(path).IgnoreError();  // a later try makes it again
      return written;
    }
    tail_.position = kSegmentHeaderBytes;
    directory_dirty_ = true;
  }
  tail_.segment = number;
  file_ = std::move(file);
  return absl::OkStatus();
}

absl::Status Writer::AppendRaw(std::string_view records, Seq new_last) {
  if (tail_.position >= segment_bytes_) {
    if (unsynced_previous_.valid()) RETURN_IF_ERROR(SyncData(unsynced_previous_.get(), location_.prefix));
    UniqueFd previous = std::move(file_);
    absl::Status opened = OpenSegment(tail_.segment + 1, /*create=*/true);
    if (!opened.ok()) {
      file_ = std::move(previous);
      return opened;
    }
    if (syncs_) unsynced_previous_ = std::move(previous);
  }
  absl::Status written = PwriteAll(file_.get(), records, tail_.position, location_.Segment(tail_.segment));
  if (!written.ok()) {
    // A later append may be shorter: nothing of this one may show behind it. If this fails too, recovery cuts
    // it.
    Truncate(file_.get(), tail_.position, location_.prefix).IgnoreError();
    return written;
  }
  tail_.position += records.size();
  tail_.last = new_last;
  return absl::OkStatus();
}

absl::Status Writer::RollInto(const std::string& reserve) {
  ASSIGN_OR_RETURN(UniqueFd file, Open(reserve, O_RDWR));
  // Space that was written instead of allocated: its zeros must not stand behind the records.
  ASSIGN_OR_RETURN(const std::uint64_t written, FileSize(file.get()));
  if (written > 0) RETURN_IF_ERROR(Truncate(file.get(), 0, reserve));
  const std::uint32_t number = tail_.segment + 1;
  const std::string header = EncodeSegmentHeader(epoch_, Seq(tail_.last.value() + 1), number);
  RETURN_IF_ERROR(PwriteAll(file.get(), header, 0, reserve));
  if (unsynced_previous_.valid()) RETURN_IF_ERROR(SyncData(unsynced_previous_.get(), location_.prefix));
  if (::rename(reserve.c_str(), location_.Segment(number).c_str()) != 0) {
    return ErrnoStatus("rename", reserve);
  }
  if (syncs_) unsynced_previous_ = std::move(file_);
  file_ = std::move(file);
  tail_.segment = number;
  tail_.position = kSegmentHeaderBytes;
  directory_dirty_ = true;
  return absl::OkStatus();
}

absl::StatusOr<Writer::PendingSync> Writer::TakeSync() {
  PendingSync pending;
  if (unsynced_previous_.valid()) pending.files_.push_back(std::move(unsynced_previous_));
  ASSIGN_OR_RETURN(UniqueFd copy, Duplicate(file_, location_.Segment(tail_.segment)));
  pending.files_.push_back(std::move(copy));
  if (std::exchange(directory_dirty_, false)) pending.directory_ = location_.directory;
  return pending;
}

absl::Status Writer::PendingSync::Run(std::set<std::string>* directories) {
  for (const UniqueFd& file : files_) RETURN_IF_ERROR(SyncData(file.get(), "journal segment"));
  if (directory_.empty() || (directories != nullptr && directories->contains(directory_))) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(SyncDirectory(directory_));
  if (directories != nullptr) directories->insert(directory_);
  return absl::OkStatus();
}

absl::Status Writer::Sync() {
  ASSIGN_OR_RETURN(PendingSync pending, TakeSync());
  return pending.Run();
}

}  // namespace waggle::journal
