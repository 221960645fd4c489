// The journal's files, whatever a crash, a disk or somebody's hand made of them: what is accepted reads the
// same by every way, recovery keeps exactly that, and the index is only ever a short cut.
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "common/journal/events.h"
#include "common/journal/line_index.h"
#include "common/journal/reader.h"
#include "common/journal/scan.h"
#include "common/journal/writer.h"
#include "tests/fuzz/fuzz.h"

namespace waggle::fuzz {
namespace {

using journal::Kind;
using journal::Position;
using journal::RecordHeader;
using journal::RecordView;

constexpr Epoch kEpoch(7);
constexpr std::size_t kBudget = 512 * limits::kKiB;  // bytes of one journal: more is only slower
constexpr std::size_t kSmallSegment = 4 * limits::kKiB;
constexpr std::size_t kRead = 96 * limits::kKiB;

// One directory for the process, below $TMPDIR, which is best in memory.
class Directory {
 public:
  Directory() {
    std::string pattern = std::filesystem::temp_directory_path() / "fuzz-XXXXXX";
    Require(::mkdtemp(pattern.data()) != nullptr, "a temporary directory can be made");
    path_ = pattern;
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

const journal::Location& Where() {
  static const Directory directory;
  static const journal::Location location{directory.path(), "log"};
  return location;
}

void WriteFile(const std::string& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
}

// Output of a size that no input could hold, with lines in it.
std::string Filler(std::size_t size, std::size_t line) {
  std::string text(size, 'x');
  for (std::size_t i = line; i < size; i += line + 1) text[i] = '\n';
  return text;
}

// Builds the files of a journal: rightly, until the input says otherwise.
class Maker {
 public:
  void Build(Input& in) {
    NextSegment(kEpoch, Seq(1), 0);
    for (int steps = 0; !in.done() && steps < 200 && bytes_ < kBudget; ++steps) Step(in);
    for (std::uint32_t number = 0; number < segments_.size(); ++number) {
      if (!holes_.contains(number)) WriteFile(Where().Segment(number), segments_[number]);
    }
    // A journal of several segments has had an index: recovery takes it for a sign of them.
    if (!index_.empty() || !holes_.empty()) WriteFile(Where().Index(), index_);
  }

 private:
  void Step(Input& in) {
    switch (in.Pick(13)) {
      case 0:
      case 1:
        return Add(Header(in.Flag() ? Kind::kStdout : Kind::kStderr, in.Pick(3)), in.Text());
      case 2: {
        const std::size_t size = in.U16();
        return Add(Header(in.Flag() ? Kind::kStdout : Kind::kStderr, in.Pick(3)), Filler(size, 1 + in.U8()));
      }
      case 3:
        return Add(Header(static_cast<Kind>(1 + in.Pick(10)), in.Pick(3)), in.Text());
      case 4: {
        journal::Final final;
        final.last = Seq(Number(in, seq_ + 1));
        final.out = state_.out.Total();
        final.err = state_.err.Total();
        return Add(Header(Kind::kFinal, 0), journal::Encode(final));
      }
      case 5: {  // a record with a right checksum and a wrong header
        RecordHeader header = Header(static_cast<Kind>(in.U8()), in.U32());
        header.epoch = Epoch(Number(in, kEpoch.value()));
        header.seq = Seq(Number(in, seq_ + 1));
        header.offset = Number(in, header.offset);
        header.boot_nanos = static_cast<std::int64_t>(in.U64());
        header.phase = in.U8();
        std::string raw;
        journal::EncodeRecord(header, in.Text(), &raw);
        return Append(raw);
      }
      case 6:
        return Append(in.Text());
      case 7:
        return NextSegment(kEpoch, Seq(seq_ + 1), static_cast<std::uint32_t>(segments_.size()));
      case 8:
        return NextSegment(Epoch(Number(in, kEpoch.value())), Seq(Number(in, seq_ + 1)),
                           static_cast<std::uint32_t>(Number(in, segments_.size())));
      case 9:
        segments_.emplace_back(in.Text());
        return;
      case 10: {
        std::string& segment = segments_[in.Pick(segments_.size())];
        segment.resize(std::min<std::size_t>(segment.size(), Number(in, segment.size())));
        return;
      }
      case 11: {
        std::string& segment = segments_[in.Pick(segments_.size())];
        if (!segment.empty()) segment[in.U32() % segment.size()] ^= static_cast<char>(1 << in.Pick(8));
        return;
      }
      case 12:
        if (in.Flag()) {
          holes_.insert(static_cast<std::uint32_t>(in.Pick(segments_.size())));
        } else {
          index_ = in.Text();
        }
        return;
    }
  }

  RecordHeader Header(Kind kind, std::size_t command) {
    RecordHeader header;
    header.epoch = kEpoch;
    header.seq = Seq(seq_ + 1);
    header.kind = kind;
    header.command = static_cast<std::uint32_t>(command);
    if (kind == Kind::kStdout) header.offset = state_.out.bytes();
    if (kind == Kind::kStderr) header.offset = state_.err.bytes();
    return header;
  }
  void Add(const RecordHeader& header, std::string_view payload) {
    std::string raw;
    journal::EncodeRecord(header, payload, &raw);
    state_.Feed({header, payload, raw});
    seq_ = header.seq.value();
    Append(raw);
  }
  void Append(std::string_view raw) {
    segments_.back() += raw;
    bytes_ += raw.size();
  }
  void NextSegment(Epoch epoch, Seq first, std::uint32_t number) {
    if (segments_.size() < 200) segments_.push_back(journal::EncodeSegmentHeader(epoch, first, number));
  }

  std::vector<std::string> segments_;
  std::set<std::uint32_t> holes_;
  std::string index_;
  std::uint64_t seq_ = 0;
  std::size_t bytes_ = 0;
  journal::RunningState state_;
};

// What a scan accepts, with the line of each record's first byte.
struct Accepted {
  journal::Tail tail;
  std::string raw;
  std::vector<std::size_t> ends;  // of each record in `raw`
  std::vector<Position> at;
  std::vector<std::uint64_t> lines;
  std::vector<std::uint64_t> numbered;  // lines before each record
  journal::RunningState state;
  bool offsets_right = true;
};

template <typename T>
void CheckEvent(const std::optional<T>& decoded, std::optional<T> (*decode)(std::string_view)) {
  if (!decoded) return;
  const std::string bytes = journal::Encode(*decoded);
  const std::optional<T> again = decode(bytes);
  Require(again && journal::Encode(*again) == bytes, "an event that was read can be written and read again");
}

void CheckPayload(std::string_view payload) {
  CheckEvent(journal::DecodeCommandStart(payload), journal::DecodeCommandStart);
  CheckEvent(journal::DecodeCommandEnd(payload), journal::DecodeCommandEnd);
  CheckEvent(journal::DecodePhaseEvent(payload), journal::DecodePhaseEvent);
  CheckEvent(journal::DecodeWarning(payload), journal::DecodeWarning);
  CheckEvent(journal::DecodeGap(payload), journal::DecodeGap);
  CheckEvent(journal::DecodeFinal(payload), journal::DecodeFinal);
}

// Lines do not depend on how the output was cut into records.
void CheckSplit(const journal::LineCounter& before, const RecordView& record, std::uint64_t line,
                const journal::LineCounter& after) {
  journal::LineCounter counter = before;
  const std::size_t half = record.payload.size() / 2;
  if (!journal::IsOutput(record.header.kind) || half == 0) return;
  Require(counter.Feed(record.header, record.payload.substr(0, half)) == line,
          "a half starts at the same line");
  counter.Feed(record.header, record.payload.substr(half));
  std::string halves, whole;
  counter.Save(&halves);
  after.Save(&whole);
  Require(halves == whole, "two halves count like the whole");
}

Accepted ScanAll() {
  Accepted all;
  auto visit = [&all](const RecordView& record, Position position) {
    Require(record.header.epoch == kEpoch && record.header.seq.value() == all.ends.size() + 1,
            "a scan gives this epoch's records in order");
    const journal::StreamDigest& digest = record.header.kind == Kind::kStdout ? all.state.out : all.state.err;
    if (journal::IsOutput(record.header.kind) && record.header.offset != digest.bytes())
      all.offsets_right = false;
    all.numbered.push_back(all.state.lines.lines());
    const journal::LineCounter before = all.state.lines;
    all.lines.push_back(all.state.Feed(record));
    CheckSplit(before, record, all.lines.back(), all.state.lines);
    all.raw += record.raw;
    all.ends.push_back(all.raw.size());
    all.at.push_back(position);
    CheckPayload(record.payload);
  };
  auto tail = journal::Scan(Where(), kEpoch, visit);
  Require(tail.ok(), "a scan ends with an answer");
  Require(tail->last.value() == all.ends.size(), "the tail is the last record visited");
  all.tail = *tail;
  return all;
}

// Everything readable from where the reader stands, by reads of this size.
std::string ReadOn(journal::Reader& reader, std::size_t max_bytes, Seq last = Seq(UINT64_MAX - 1)) {
  std::string raw;
  for (;;) {
    const std::size_t before = raw.size();
    auto count = reader.ReadRaw(max_bytes, last, &raw);
    if (!count.ok()) {
      Require(absl::IsDataLoss(count.status()), "damage is DataLoss");
      Require(raw.size() == before, "an error leaves nothing behind");
      return raw;
    }
    Require((*count > 0) == (raw.size() > before), "records and bytes go together");
    if (*count == 0) return raw;
  }
}

void CheckReader(const Accepted& all, std::size_t max_bytes) {
  journal::Reader reader(Where());
  const std::string raw = ReadOn(reader, max_bytes);
  Require(std::string_view(raw).substr(0, all.raw.size()) == all.raw,
          "a reader gives at least what a scan accepts");
}

// Checkpoints made while records come agree with the records, and looking up by them with reading from the
// start, also when one of them is damaged.
void CheckIndex(const Accepted& all, Input& in) {
  auto index = journal::IndexWriter::Open(Where(), 0);
  Require(index.ok(), "an index can be made");
  journal::RunningState state;
  std::string_view rest = all.raw;
  for (std::size_t i = 0; i < all.ends.size(); ++i) {
    RecordView record;
    Require(journal::DecodeRecord(rest, &record) == journal::DecodeResult::kOk, "what was accepted decodes");
    rest.remove_prefix(record.raw.size());
    state.Feed(record);
    if (i + 1 == all.ends.size()) break;
    journal::Checkpoint checkpoint{all.at[i + 1], Seq(i + 2), state};
    Require((*index)->MaybeAppend(checkpoint, all.ends[i]).ok(), "a checkpoint can be appended");
  }
  if (in.Flag()) {
    auto bytes = ReadFile(Where().Index(), limits::kMiB);
    Require(bytes.ok(), "the index can be read");
    if (!bytes->empty()) (*bytes)[in.U32() % bytes->size()] ^= static_cast<char>(1 << in.Pick(8));
    WriteFile(Where().Index(), *bytes);
  }
  for (int tries = 0; tries < 4 && !all.ends.empty(); ++tries) {
    const std::size_t wanted = in.U32() % all.ends.size();
    for (bool by_line : {false, true}) {
      const journal::Checkpoint from = by_line ? journal::FindLine(Where(), all.lines[wanted])
                                               : journal::FindRecord(Where(), Seq(wanted + 1));
      const std::size_t first = from.next.value() - 1;
      if (by_line && all.lines[wanted] == 0) continue;
      Require(first <= wanted, "a checkpoint lies before what was asked for");
      Require(from.state.lines.lines() == all.numbered[first], "it counts the lines as a scan does");
      journal::Reader reader(Where());
      reader.SeekToPosition(from.position.segment, from.position.byte, from.next);
      const std::size_t begin = first == 0 ? 0 : all.ends[first - 1];
      Require(ReadOn(reader, kRead, Seq(wanted + 1)) == all.raw.substr(begin, all.ends[wanted] - begin),
              "reading goes on from a checkpoint");
    }
  }
}

void CheckSeek(const Accepted& all, std::uint64_t wanted) {
  journal::Reader reader(Where());
  const absl::Status sought = reader.SeekTo(Seq(wanted));
  if (wanted == 0 || wanted > all.ends.size() + 1) return;
  Require(sought.ok(), "a record that is there is found");
  const std::size_t begin = wanted == 1 ? 0 : all.ends[wanted - 2];
  Require(ReadOn(reader, kRead) == all.raw.substr(begin), "from a record, all that follow it are read");
}

// Goes on after recovery as a shim would, through several segments, to the end.
void CheckGoesOn(journal::Writer& writer, const Accepted& before, Input& in) {
  journal::RunningState state = before.state;
  std::uint64_t seq = before.tail.last.value();
  std::string added;
  auto append = [&](Kind kind, std::string_view payload) {
    RecordHeader header;
    header.epoch = kEpoch;
    header.seq = Seq(++seq);
    header.kind = kind;
    header.offset = kind == Kind::kStdout ? state.out.bytes() : 0;
    std::string raw;
    journal::EncodeRecord(header, payload, &raw);
    state.Feed({header, payload, raw});
    const absl::Status appended = writer.AppendRaw(raw, Seq(seq));
    Require(appended.ok(), appended.ToString());
    added += raw;
  };
  for (std::size_t n = in.Pick(6); n > 0; --n) append(Kind::kStdout, Filler(in.U16() % 6000, 50));
  journal::Final final;
  final.last = Seq(seq + 1);
  final.out = state.out.Total();
  final.err = state.err.Total();
  append(Kind::kFinal, journal::Encode(final));
  Require(writer.Sync().ok(), "and syncs");
  const Accepted after = ScanAll();
  Require(after.tail.problem.empty() && after.tail.final, "its end is good");
  Require(after.raw == before.raw + added, "old and new records stand behind each other");
  auto verified = journal::Verify(Where(), kEpoch);
  Require(verified.ok() && verified->complete == before.offsets_right,
          "the log is complete if its offsets were right");
}

void CheckRecovery(const Accepted& before, Input& in) {
  auto writer = journal::Writer::Recover(Where(), kEpoch, kSmallSegment);
  Require(writer.ok(), "any journal can be recovered");
  Require((*writer)->last() == before.tail.last, "recovery keeps what a scan accepts");
  const Accepted after = ScanAll();
  Require(after.tail.problem.empty(), "nothing torn is left");
  Require(after.raw == before.raw, "the records are the same, byte for byte");
  Require(after.tail.final == before.tail.final, "and so is their end");
  journal::Reader reader(Where());
  Require(ReadOn(reader, 1 + in.U16()) == before.raw, "a reader sees exactly them");
  for (int i = 0; i < 3; ++i) CheckSeek(after, Number(in, 1 + in.U8() % (after.ends.size() + 1)));
  CheckIndex(after, in);
  if (!after.tail.final) CheckGoesOn(**writer, after, in);
}

}  // namespace

void Run(std::string_view input) {
  Input in(input);
  for (const auto& entry : std::filesystem::directory_iterator(Where().directory)) {
    std::filesystem::remove(entry.path());
  }
  Input ways(in.Text());  // what is done with the journal; the rest of the input makes it
  Maker().Build(in);
  const Accepted all = ScanAll();
  auto verified = journal::Verify(Where(), kEpoch);
  Require(verified.ok() && verified->records == all.ends.size(), "verification reads what a scan accepts");
  Require(verified->complete == verified->problem.empty(), "it is complete or it says why not");
  Require(!verified->complete || (all.tail.final && all.tail.problem.empty()), "a complete log has its end");
  // A hostile index may mislead nobody into a crash.
  journal::FindRecord(Where(), Seq(1 + ways.U8()));
  journal::FindLine(Where(), ways.U8());
  CheckReader(all, 1 + ways.U16());
  CheckRecovery(all, ways);
}

}  // namespace waggle::fuzz
