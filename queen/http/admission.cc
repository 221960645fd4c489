#include "queen/http/admission.h"

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace waggle::queen::http {

struct Admission::Book {
  Book(std::size_t in_all, std::size_t per_address) : in_all(in_all), per_address(per_address) {}

  void GiveBack(const std::string& address) {
    absl::MutexLock lock(&mutex);
    --taken;
    const auto entry = by_address.find(address);
    if (--entry->second == 0) by_address.erase(entry);
  }

  const std::size_t in_all, per_address;
  absl::Mutex mutex;
  std::size_t taken ABSL_GUARDED_BY(mutex) = 0;
  absl::flat_hash_map<std::string, std::size_t> by_address ABSL_GUARDED_BY(mutex);  // no zeros
};

Admission::Admission(std::size_t in_all, std::size_t per_address)
    : book_(std::make_shared<Book>(in_all, per_address)) {}

Admission::Ticket Admission::Take(const std::string& address) {
  {
    absl::MutexLock lock(&book_->mutex);
    const auto entry = book_->by_address.find(address);
    if (entry != book_->by_address.end() && entry->second >= book_->per_address)
      return {nullptr, Full::kAddress};
    if (book_->taken >= book_->in_all) return {nullptr, Full::kServer};
    ++book_->taken;
    ++book_->by_address[address];
  }
  return {Place(book_.get(), [book = book_, address](const void*) { book->GiveBack(address); }), Full::kNo};
}

std::size_t Admission::taken() const {
  absl::MutexLock lock(&book_->mutex);
  return book_->taken;
}

}  // namespace waggle::queen::http
