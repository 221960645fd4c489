#include "common/journal/events.h"

#include <cstring>

#include "common/base/bytes.h"

namespace waggle::journal {
namespace {

constexpr std::uint8_t kVersion = 1;

void Put(ByteWriter& w, const StreamTotal& total) {
  w.U64(total.bytes);
  w.Raw(total.digest.data(), total.digest.size());
}

StreamTotal GetTotal(ByteReader& r) {
  StreamTotal total;
  total.bytes = r.U64();
  std::string_view digest = r.Raw(total.digest.size());
  if (digest.size() == total.digest.size()) std::memcpy(total.digest.data(), digest.data(), digest.size());
  return total;
}

template <typename T, typename Fill>
std::optional<T> Decode(std::string_view payload, Fill&& fill) {
  ByteReader r(payload);
  T value;
  if (r.U8() != kVersion) return std::nullopt;
  fill(r, value);
  if (!r.ok()) return std::nullopt;
  return value;
}

template <typename Fill>
std::string EncodeWith(Fill&& fill) {
  std::string out;
  ByteWriter w(&out);
  w.U8(kVersion);
  fill(w);
  return out;
}

std::int32_t I32(ByteReader& r) {
  return static_cast<std::int32_t>(r.U32());
}
void I32(ByteWriter& w, std::int32_t v) {
  w.U32(static_cast<std::uint32_t>(v));
}

}  // namespace

std::string Encode(const CommandStart& v) {
  return EncodeWith([&](ByteWriter& w) {
    w.String(v.name);
    w.String(v.display);
    w.String(v.plugin);
    w.U8(v.silent);
    w.I64(v.wall);
  });
}

std::optional<CommandStart> DecodeCommandStart(std::string_view payload) {
  return Decode<CommandStart>(payload, [](ByteReader& r, CommandStart& v) {
    v.name = r.String();
    v.display = r.String();
    v.plugin = r.String();
    v.silent = r.U8() != 0;
    v.wall = r.I64();
  });
}

std::string Encode(const CommandEnd& v) {
  return EncodeWith([&](ByteWriter& w) {
    I32(w, v.exit_code);
    I32(w, v.signal);
    w.U64(v.duration_nanos);
    w.U64(v.user_micros);
    w.U64(v.system_micros);
    w.U64(v.max_rss_kib);
    w.String(v.error);
    w.I64(v.wall);
  });
}

std::optional<CommandEnd> DecodeCommandEnd(std::string_view payload) {
  return Decode<CommandEnd>(payload, [](ByteReader& r, CommandEnd& v) {
    v.exit_code = I32(r);
    v.signal = I32(r);
    v.duration_nanos = r.U64();
    v.user_micros = r.U64();
    v.system_micros = r.U64();
    v.max_rss_kib = r.U64();
    v.error = r.String();
    v.wall = r.I64();
  });
}

std::string Encode(const PhaseEvent& v) {
  return EncodeWith([&](ByteWriter& w) {
    w.U8(v.end);
    I32(w, v.code);
    w.String(v.next);
    w.U8(v.ran_nothing);
    w.I64(v.wall);
  });
}

std::optional<PhaseEvent> DecodePhaseEvent(std::string_view payload) {
  return Decode<PhaseEvent>(payload, [](ByteReader& r, PhaseEvent& v) {
    v.end = r.U8() != 0;
    v.code = I32(r);
    v.next = r.String();
    v.ran_nothing = r.U8() != 0;
    v.wall = r.I64();
  });
}

std::string Encode(const Warning& v) {
  return EncodeWith([&](ByteWriter& w) {
    w.String(v.plugin);
    w.String(v.title);
    w.String(v.description);
    w.U8(v.major);
  });
}

std::optional<Warning> DecodeWarning(std::string_view payload) {
  return Decode<Warning>(payload, [](ByteReader& r, Warning& v) {
    v.plugin = r.String();
    v.title = r.String();
    v.description = r.String();
    v.major = r.U8() != 0;
  });
}

std::string Encode(const PluginEvent& v) {
  return EncodeWith([&](ByteWriter& w) {
    w.String(v.plugin);
    w.String(v.json);
  });
}
std::optional<PluginEvent> DecodePluginEvent(std::string_view payload) {
  return Decode<PluginEvent>(payload, [](ByteReader& r, PluginEvent& v) {
    v.plugin = r.String();
    v.json = r.String();
  });
}

std::string Encode(const Gap& v) {
  return EncodeWith([&](ByteWriter& w) {
    w.U64(v.missing_bytes);
    w.String(v.reason);
    w.U8(static_cast<std::uint8_t>(v.stream));
  });
}

std::optional<Gap> DecodeGap(std::string_view payload) {
  return Decode<Gap>(payload, [](ByteReader& r, Gap& v) {
    v.missing_bytes = r.U64();
    v.reason = r.String();
    v.stream = r.U8() == static_cast<std::uint8_t>(Kind::kStderr) ? Kind::kStderr : Kind::kStdout;
  });
}

std::string Encode(const Final& v) {
  return EncodeWith([&](ByteWriter& w) {
    w.U64(v.last.value());
    Put(w, v.out);
    Put(w, v.err);
    I32(w, v.test_code);
    I32(w, v.deploy_code);
    I32(w, v.failed_code);
    w.U8(static_cast<std::uint8_t>(v.reason));
    w.String(v.detail);
    w.String(v.failed_step);
    w.U32(v.processes_left);
    w.U32(v.processes_killed);
    w.U64(v.user_micros);
    w.U64(v.system_micros);
    w.U64(v.max_rss_kib);
    w.U64(v.kill_nanos);
    w.I64(v.started);
    w.I64(v.finished);
  });
}

std::optional<Final> DecodeFinal(std::string_view payload) {
  std::optional<Final> final = Decode<Final>(payload, [](ByteReader& r, Final& v) {
    v.last = Seq(r.U64());
    v.out = GetTotal(r);
    v.err = GetTotal(r);
    v.test_code = I32(r);
    v.deploy_code = I32(r);
    v.failed_code = I32(r);
    v.reason = static_cast<Reason>(r.U8());
    v.detail = r.String();
    v.failed_step = r.String();
    v.processes_left = r.U32();
    v.processes_killed = r.U32();
    v.user_micros = r.U64();
    v.system_micros = r.U64();
    v.max_rss_kib = r.U64();
    v.kill_nanos = r.U64();
    v.started = r.I64();
    v.finished = r.I64();
  });
  if (final && Name(final->reason) == "?") return std::nullopt;  // no store could keep it
  return final;
}

}  // namespace waggle::journal
