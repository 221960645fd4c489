#include "queen/api/workers.h"

#include <atomic>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

namespace waggle::queen {

struct Workers::Impl {
  Impl(int threads, std::size_t bound) : bound(bound), pool(static_cast<std::size_t>(threads)) {}
  const std::size_t bound;
  std::atomic<std::size_t> waiting{0};
  boost::asio::thread_pool pool;
};

Workers::Workers(int threads, std::size_t bound) : impl_(std::make_unique<Impl>(threads, bound)) {}

Workers::~Workers() {
  impl_->pool.join();
}

bool Workers::Run(std::function<void()> task) {
  if (impl_->waiting.fetch_add(1) >= impl_->bound) {
    impl_->waiting.fetch_sub(1);
    return false;
  }
  boost::asio::post(impl_->pool, [this, task = std::move(task)] {
    impl_->waiting.fetch_sub(1);
    task();
  });
  return true;
}

}  // namespace waggle::queen
