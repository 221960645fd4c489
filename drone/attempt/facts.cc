#include "drone/attempt/facts.h"

#include "common/base/bytes.h"
#include "common/base/crc32c.h"

namespace waggle::attempt {
namespace {

constexpr std::string_view kMagic = "WGAT";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kCrcBytes = 4;

}  // namespace

std::string EncodeFacts(const Facts& facts) {
  std::string out(kMagic);
  ByteWriter w(&out);
  w.U32(kVersion);
  w.U64(facts.epoch.value());
  w.U64(facts.job.value());
  w.U32(facts.attempt);
  w.U8(static_cast<std::uint8_t>(facts.type));
  w.I64(facts.received);
  w.String(facts.boot_id);
  w.String(facts.work_directory);
  w.U32(Crc32c(out.data(), out.size()));
  return out;
}

absl::StatusOr<Facts> DecodeFacts(std::string_view bytes) {
  if (bytes.size() < kMagic.size() + kCrcBytes) return absl::DataLossError("the file is cut off");
  std::string_view body = bytes.substr(0, bytes.size() - kCrcBytes);
  ByteReader tail(bytes.substr(body.size()));
  if (tail.U32() != Crc32c(body.data(), body.size())) return absl::DataLossError("the checksum is wrong");
  ByteReader r(body);
  if (r.Raw(kMagic.size()) != kMagic) return absl::DataLossError("this is not an attempt file");
  if (r.U32() != kVersion) return absl::DataLossError("the version of the file is not known");
  Facts facts;
  facts.epoch = Epoch(r.U64());
  facts.job = JobId(r.U64());
  facts.attempt = r.U32();
  facts.type = static_cast<JobType>(r.U8());
  facts.received = r.I64();
  facts.boot_id = std::string(r.String());
  facts.work_directory = std::string(r.String());
  if (!r.done() || !facts.epoch || facts.type < JobType::kTest || facts.type > JobType::kTestAndDeploy) {
    return absl::DataLossError("a field is damaged");
  }
  return facts;
}

}  // namespace waggle::attempt
