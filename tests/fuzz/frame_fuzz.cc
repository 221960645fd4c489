// Frames between the daemon and a shim: how the bytes are cut never matters, and what was decoded encodes to
// the same frame.
#include "common/base/limits.h"
#include "drone/shim/protocol.h"
#include "tests/fuzz/fuzz.h"

namespace waggle::fuzz {
namespace {

using shim::Frame;
using shim::FrameReader;

// The frames of a stream as their encoding, and whether it ended badly.
struct Read {
  std::vector<std::string> frames;
  bool failed = false;
  bool operator==(const Read&) const = default;
};

void TakeAll(FrameReader& reader, Read* out) {
  while (std::optional<Frame> frame = reader.Next()) out->frames.push_back(shim::EncodeFrame(*frame));
  out->failed = reader.failed();
}

Read ReadWhole(std::string_view stream) {
  FrameReader reader;
  Read out;
  reader.Feed(stream);
  TakeAll(reader, &out);
  return out;
}

Read ReadInPieces(std::string_view stream, std::string_view cuts) {
  FrameReader reader;
  Read out;
  for (std::size_t i = 0; !stream.empty(); ++i) {
    const std::size_t size = cuts.empty() ? 1 : static_cast<unsigned char>(cuts[i % cuts.size()]) + 1u;
    reader.Feed(stream.substr(0, size));
    stream.remove_prefix(std::min(size, stream.size()));
    TakeAll(reader, &out);
  }
  return out;
}

std::string Word(Input& in) {
  return std::string(in.Text());
}

std::map<std::string, std::string> Words(Input& in) {
  std::map<std::string, std::string> out;
  for (std::size_t n = in.Pick(4); n > 0; --n) out[Word(in)] = Word(in);
  return out;
}

shim::Start MakeStart(Input& in) {
  shim::Start start;
  start.job = JobId(in.U64());
  start.epoch = Epoch(std::max<std::uint64_t>(1, in.U64()));
  start.attempt = in.U32();
  start.type = static_cast<JobType>(1 + in.Pick(3));
  start.header = Word(in);
  start.base_directory = Word(in);
  start.job_directory = Word(in);
  start.env = Words(in);
  for (std::size_t n = in.Pick(3); n > 0; --n) start.checkout.argv.push_back(Word(in));
  start.checkout.input = Word(in);
  start.checkout.comment = Word(in);
  for (auto& steps : start.phases) {
    for (std::size_t n = in.Pick(3); n > 0; --n) {
      shim::Step& step = steps.emplace_back();
      step.name = Word(in);
      step.command = Word(in);
      step.screen = Word(in);
      step.cwd = Word(in);
      for (std::size_t args = in.Pick(3); args > 0; --args) step.args.push_back(Word(in));
      step.env = Words(in);
      step.silent = in.Flag();
    }
  }
  for (auto* d : {&start.wall, &start.silence, &start.cleanup, &start.interrupt, &start.terminate}) {
    *d = std::chrono::nanoseconds(static_cast<std::int64_t>(in.U64() >> 1));
  }
  start.log_bytes = in.U64();
  start.attempts = Word(in);
  start.spool_budget = in.U64();
  start.spool_segment = in.U64();
  start.truncates = in.Flag();
  for (std::size_t n = in.Pick(3); n > 0; --n) {
    shim::PluginUse& use = start.plugins.uses.emplace_back();
    use.name = Word(in);
    use.program = Word(in);
    use.config = Word(in);
    use.variables = Words(in);
    use.phases = in.U8();
  }
  start.plugins.limit = std::chrono::nanoseconds(static_cast<std::int64_t>(in.U64() >> 1));
  start.plugins.job = Word(in);
  start.plugins.fault = Word(in);
  return start;
}

shim::Status MakeStatus(Input& in) {
  shim::Status status;
  status.epoch = Epoch(in.U64());
  status.state = static_cast<shim::AttemptState>(1 + in.Pick(5));
  status.phase = static_cast<std::uint8_t>(in.Pick(kPhaseCount));
  status.last = in.U64();
  status.wants_grant = in.Flag();
  status.counter = in.U32();
  status.started_wall = static_cast<std::int64_t>(in.U64());
  status.finished_wall = static_cast<std::int64_t>(in.U64());
  status.test_code = static_cast<std::int32_t>(in.U32());
  status.deploy_code = static_cast<std::int32_t>(in.U32());
  return status;
}

Frame MakeFrame(Input& in) {
  switch (in.Pick(5)) {
    case 0:
      return MakeStart(in);
    case 1:
      return MakeStatus(in);
    case 2:
      return shim::Watermark{in.U64()};
    case 3:
      return shim::Grant{};
    default: {
      shim::Cancel cancel{Word(in), Word(in), false};
      cancel.now = in.Flag();
      return cancel;
    }
  }
}

// Frames a peer of ours would send come back as they were.
void CheckOwnFrames(Input& in) {
  std::string cuts(in.Text()), stream;
  std::vector<std::string> sent;
  while (!in.done() && sent.size() < 64) {
    sent.push_back(shim::EncodeFrame(MakeFrame(in)));
    if (sent.back().size() > shim::kMaxFrame) return;  // a sender checks this
    stream += sent.back();
  }
  const Read whole = ReadWhole(stream);
  Require(!whole.failed && whole.frames == sent, "decoding gives back what was encoded");
  Require(ReadInPieces(stream, cuts) == whole, "how a stream is cut does not matter");
}

void CheckForeignBytes(Input& in) {
  std::string cuts(in.Text());
  const std::string_view stream = in.Rest();
  const Read whole = ReadWhole(stream);
  Require(ReadInPieces(stream, cuts) == whole, "how a stream is cut does not matter");
  for (const std::string& frame : whole.frames) {
    Require(frame.size() <= shim::kMaxFrame + 4, "a frame that was taken is within the bound");
    const Read again = ReadWhole(frame);
    Require(!again.failed && again.frames == std::vector<std::string>{frame},
            "decode, encode, decode is stable");
  }
}

}  // namespace

void Run(std::string_view input) {
  Input in(input);
  if (in.Flag()) {
    CheckOwnFrames(in);
  } else {
    CheckForeignBytes(in);
  }
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  std::string decisions;
  for (int i = 0; i < 600; ++i) decisions += static_cast<char>(i * 37 % 7);
  Input in(decisions);
  shim::Start start = MakeStart(in);
  start.header = "drone d1";
  start.env = {{"PATH", "/usr/bin:/bin"}, {"CI", "true"}};
  start.phases[2].push_back({"unit", "make test", "", "src", {}, {{"A", "b"}}, false});
  const Frame frames[] = {start, shim::Status{Epoch(7)}, shim::Watermark{12}, shim::Grant{},
                          shim::Cancel{"alice", "wrong branch", true}};
  std::string all;
  for (const Frame& frame : frames) all += shim::EncodeFrame(frame);
  for (std::string_view cuts : {std::string_view("\x03\x00\x10", 3), std::string_view("\xFF")}) {
    std::string seed;
    ByteWriter w(&seed);
    w.U8(0);
    PutText(w, cuts);
    w.Raw(all.data(), all.size());
    seeds.push_back(seed);
  }
  std::string own;
  ByteWriter w(&own);
  w.U8(1);
  PutText(w, "\x03");
  w.Raw(decisions.data(), decisions.size());
  seeds.push_back(own);
  return seeds;
}

}  // namespace waggle::fuzz
