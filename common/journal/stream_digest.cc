// The low-level SHA-256 calls keep their state in a plain struct that can be saved, and cost no provider
// start-up.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/journal/stream_digest.h"

#include <openssl/sha.h>

#include <algorithm>
#include <cstring>

#include "common/base/limits.h"

namespace waggle::journal {
namespace {

constexpr std::size_t kLeaf = limits::kMiB;
static_assert(sizeof(SHA256_CTX) == 112);

SHA256_CTX* Context(unsigned char* state) {
  return reinterpret_cast<SHA256_CTX*>(state);
}

Sha256 Finish(const unsigned char* state) {
  SHA256_CTX copy;
  std::memcpy(&copy, state, sizeof copy);
  Sha256 digest;
  SHA256_Final(digest.data(), &copy);
  return digest;
}

}  // namespace

StreamDigest::StreamDigest() {
  SHA256_Init(Context(leaf_.bytes));
  SHA256_Init(Context(root_.bytes));
}

void StreamDigest::Update(std::string_view bytes) {
  while (!bytes.empty()) {
    std::size_t room = kLeaf - bytes_ % kLeaf;
    std::size_t n = std::min(room, bytes.size());
    SHA256_Update(Context(leaf_.bytes), bytes.data(), n);
    bytes_ += n;
    bytes.remove_prefix(n);
    if (bytes_ % kLeaf == 0) {
      Sha256 leaf = Finish(leaf_.bytes);
      SHA256_Update(Context(root_.bytes), leaf.data(), leaf.size());
      SHA256_Init(Context(leaf_.bytes));
    }
  }
}

StreamTotal StreamDigest::Total() const {
  if (bytes_ % kLeaf == 0) return {bytes_, Finish(root_.bytes)};
  SHA256_CTX root;
  std::memcpy(&root, root_.bytes, sizeof root);
  Sha256 leaf = Finish(leaf_.bytes);
  SHA256_Update(&root, leaf.data(), leaf.size());
  StreamTotal total{bytes_, {}};
  SHA256_Final(total.digest.data(), &root);
  return total;
}

void StreamDigest::Save(std::string* out) const {
  out->append(reinterpret_cast<const char*>(&bytes_), sizeof bytes_);
  out->append(reinterpret_cast<const char*>(leaf_.bytes), sizeof leaf_.bytes);
  out->append(reinterpret_cast<const char*>(root_.bytes), sizeof root_.bytes);
}

bool StreamDigest::Restore(std::string_view state) {
  if (state.size() != kStateBytes) return false;
  std::memcpy(&bytes_, state.data(), sizeof bytes_);
  std::memcpy(leaf_.bytes, state.data() + 8, sizeof leaf_.bytes);
  std::memcpy(root_.bytes, state.data() + 8 + 112, sizeof root_.bytes);
  return true;
}

}  // namespace waggle::journal
