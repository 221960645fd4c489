#include "common/journal/stream_digest.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <random>

#include "common/base/limits.h"
#include "tests/support/temp_dir.h"

namespace waggle::journal {
namespace {

using limits::kMiB;

Sha256 Hash(std::string_view bytes) {
  Sha256 digest;
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  return digest;
}

// The definition: SHA-256 over the SHA-256 of each MiB.
Sha256 Reference(std::string_view bytes) {
  std::string leaves;
  for (std::size_t at = 0; at < bytes.size(); at += kMiB) {
    Sha256 leaf = Hash(bytes.substr(at, kMiB));
    leaves.append(reinterpret_cast<const char*>(leaf.data()), leaf.size());
  }
  return Hash(leaves);
}

TEST(StreamDigest, EmptyStreamHasNoLeaf) {
  StreamTotal total = StreamDigest().Total();
  EXPECT_EQ(total.bytes, 0u);
  EXPECT_EQ(total.digest, Hash(""));
}

TEST(StreamDigest, EqualsTheDefinitionAroundLeafBorders) {
  const std::string bytes = test::NoiseBytes(3 * kMiB + 2, 1);
  for (std::size_t size :
       {std::size_t{1}, std::size_t{1000}, kMiB - 1, kMiB, kMiB + 1, 2 * kMiB, 3 * kMiB + 2}) {
    StreamDigest digest;
    digest.Update(std::string_view(bytes).substr(0, size));
    EXPECT_EQ(digest.Total(), (StreamTotal{size, Reference(std::string_view(bytes).substr(0, size))}))
        << size;
  }
}

TEST(StreamDigest, DoesNotDependOnHowTheStreamIsCut) {
  const std::string bytes = test::NoiseBytes(2 * kMiB + 77, 2);
  std::mt19937 random(5);
  for (int round = 0; round < 4; ++round) {
    StreamDigest digest;
    std::string_view rest = bytes;
    while (!rest.empty()) {
      std::size_t n = std::min<std::size_t>(rest.size(), random() % (200 * 1024));
      digest.Update(rest.substr(0, n));
      rest.remove_prefix(n);
    }
    EXPECT_EQ(digest.Total().digest, Reference(bytes));
  }
}

TEST(StreamDigest, TotalMayBeAskedAtAnyTime) {
  const std::string bytes = test::NoiseBytes(kMiB + 500'000, 3);
  StreamDigest digest;
  for (std::size_t at = 0; at < bytes.size(); at += 250'000) {
    EXPECT_EQ(digest.Total().digest, Reference(std::string_view(bytes).substr(0, at)));
    digest.Update(std::string_view(bytes).substr(at, 250'000));
  }
  EXPECT_EQ(digest.Total().digest, Reference(bytes));
}

TEST(StreamDigest, GoesOnFromASavedStateAtAnyPoint) {
  const std::string bytes = test::NoiseBytes(2 * kMiB + 9, 4);
  for (std::size_t cut :
       {std::size_t{0}, std::size_t{1}, std::size_t{63}, kMiB - 1, kMiB, kMiB + 1, 2 * kMiB, bytes.size()}) {
    StreamDigest first;
    first.Update(std::string_view(bytes).substr(0, cut));
    std::string state;
    first.Save(&state);
    ASSERT_EQ(state.size(), StreamDigest::kStateBytes);
    StreamDigest second;
    second.Update("what was there before does not matter");
    ASSERT_TRUE(second.Restore(state));
    EXPECT_EQ(second.bytes(), cut);
    second.Update(std::string_view(bytes).substr(cut));
    EXPECT_EQ(second.Total(), (StreamTotal{bytes.size(), Reference(bytes)})) << cut;
  }
}

TEST(StreamDigest, RestoreRefusesAnotherSize) {
  std::string state;
  StreamDigest().Save(&state);
  StreamDigest digest;
  EXPECT_FALSE(digest.Restore(""));
  EXPECT_FALSE(digest.Restore(state.substr(1)));
  EXPECT_FALSE(digest.Restore(state + "x"));
  EXPECT_EQ(digest.Total(), StreamDigest().Total());
}

}  // namespace
}  // namespace waggle::journal
