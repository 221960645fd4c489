#include "common/journal/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

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

// All of `data` at `position`; nothing behind `position` counts until the caller moves its end.
absl::Status PwriteAll(int file, std::string_view data, std::uint64_t position, const std::string& path) {
  while (!data.empty()) {
    ssize_t n = ::pwrite(file, data.data(), data.size(), static_cast<off_t>(position));
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus("append to", path);
    }
    data.remove_prefix(static_cast<std::size_t>(n));
    position += static_cast<std::uint64_t>(n);
  }
  return absl::OkStatus();
}

absl::Status SyncFile(int file, const std::string& path) {
  if (::fdatasync(file) != 0) return ErrnoStatus("sync", path);
  return absl::OkStatus();
}

}  // namespace

std::string Location::Segment(std::uint32_t number) const {
  return absl::StrFormat("%s/%s.%03u", directory, prefix, number);
}
std::string Location::Index() const {
  return absl::StrCat(directory, "/", prefix, ".idx");
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

Writer::Writer(Location location, Epoch epoch, std::size_t segment_bytes)
    : location_(std::move(location)), epoch_(epoch), segment_bytes_(segment_bytes) {}

absl::StatusOr<std::unique_ptr<Writer>> Writer::Create(Location location, Epoch epoch,
                                                       std::size_t segment_bytes) {
  std::unique_ptr<Writer> writer(new Writer(std::move(location), epoch, segment_bytes));
  RETURN_IF_ERROR(writer->OpenSegment(0, /*create=*/true));
  return writer;
}

absl::StatusOr<std::unique_ptr<Writer>> Writer::Recover(Location location, Epoch epoch,
                                                        std::size_t segment_bytes) {
  std::unique_ptr<Writer> writer(new Writer(std::move(location), epoch, segment_bytes));
  const Location& where = writer->location_;
  ASSIGN_OR_RETURN(Tail tail, Scan(where, epoch, {}));
  if (tail.last.value() == 0) {
    // Nothing that counts: begin again with a whole first segment.
    ::unlink(where.Segment(0).c_str());
    RETURN_IF_ERROR(writer->OpenSegment(0, /*create=*/true));
  } else {
    writer->tail_ = tail;
    RETURN_IF_ERROR(writer->OpenSegment(tail.segment, /*create=*/false));
    if (::ftruncate(writer->file_.get(), static_cast<off_t>(tail.position)) != 0) {
      return ErrnoStatus("cut the torn end of", where.Segment(tail.segment));
    }
  }
  // A new journal, the usual case, has nothing to settle.
  bool leftovers = !tail.problem.empty() || ::access(where.Segment(1).c_str(), F_OK) == 0;
  if (tail.last.value() != 0 || leftovers) RETURN_IF_ERROR(writer->SettleRecovered());
  return writer;
}

absl::Status Writer::SettleRecovered() {
  // Behind a hole there may be segments that no count finds; left alone they would meet the ones to come.
  const std::string segment_prefix = location_.prefix + ".";
  std::error_code error;
  std::filesystem::directory_iterator entry(location_.directory, error), end;
  for (; !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().filename().string();
    std::uint32_t number = 0;
    if (name.rfind(segment_prefix, 0) == 0 && absl::SimpleAtoi(name.substr(segment_prefix.size()), &number) &&
        number > tail_.segment) {
      ::unlink(entry->path().c_str());
    }
  }
  if (error) return absl::InternalError(absl::StrCat("list ", location_.directory, ": ", error.message()));
  // Whoever wrote it may have died before its sync: what was found here is about to be called durable.
  for (std::uint32_t n = 0; n <= tail_.segment; ++n) {
    ASSIGN_OR_RETURN(UniqueFd file, Open(location_.Segment(n), O_RDONLY));
    RETURN_IF_ERROR(SyncFile(file.get(), location_.Segment(n)));
  }
  return SyncDirectory(location_.directory);
}

absl::Status Writer::OpenSegment(std::uint32_t number, bool create) {
  std::string path = location_.Segment(number);
  int flags = create ? O_RDWR | O_CREAT | O_EXCL : O_RDWR;
  ASSIGN_OR_RETURN(UniqueFd file, Open(path, flags));
  if (create) {
    Seq first(tail_.last.value() + 1);
    absl::Status written = PwriteAll(file.get(), EncodeSegmentHeader(epoch_, first, number), 0, path);
    if (!written.ok()) {
      ::unlink(path.c_str());  // a later try makes it again
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
    if (unsynced_previous_.valid()) RETURN_IF_ERROR(SyncFile(unsynced_previous_.get(), location_.prefix));
    UniqueFd previous = std::move(file_);
    absl::Status opened = OpenSegment(tail_.segment + 1, /*create=*/true);
    if (!opened.ok()) {
      file_ = std::move(previous);
      return opened;
    }
    unsynced_previous_ = std::move(previous);
  }
  absl::Status written = PwriteAll(file_.get(), records, tail_.position, location_.Segment(tail_.segment));
  if (!written.ok()) {
    // A later append may be shorter: nothing of this one may show behind it. If this fails too, recovery cuts
    // it.
    (void)!::ftruncate(file_.get(), static_cast<off_t>(tail_.position));
    return written;
  }
  tail_.position += records.size();
  tail_.last = new_last;
  return absl::OkStatus();
}

absl::StatusOr<Writer::PendingSync> Writer::TakeSync() {
  PendingSync pending;
  if (unsynced_previous_.valid()) pending.files_.push_back(std::move(unsynced_previous_));
  int copy = ::fcntl(file_.get(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return ErrnoStatus("duplicate", location_.Segment(tail_.segment));
  pending.files_.emplace_back(copy);
  if (std::exchange(directory_dirty_, false)) pending.directory_ = location_.directory;
  return pending;
}

absl::Status Writer::PendingSync::Run() {
  for (const UniqueFd& file : files_) RETURN_IF_ERROR(SyncFile(file.get(), "journal segment"));
  return directory_.empty() ? absl::OkStatus() : SyncDirectory(directory_);
}

absl::Status Writer::Sync() {
  ASSIGN_OR_RETURN(PendingSync pending, TakeSync());
  return pending.Run();
}

}  // namespace waggle::journal
