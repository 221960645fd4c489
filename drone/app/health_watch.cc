#include "drone/app/health_watch.h"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "common/rpc/http_get.h"

namespace waggle::drone {
namespace {

absl::StatusOr<std::string> Fetch(const std::string& place) {
  if (place.starts_with('/')) return ReadFile(place, rpc::kHttpsAnswerBytes);
  ASSIGN_OR_RETURN(rpc::HttpsAnswer answer, rpc::HttpGet(place, HealthWatch::kDeadline));
  if (answer.status == 200) return std::move(answer.body);
  return absl::UnavailableError(absl::StrCat("the server answers ", answer.status));
}

}  // namespace

bool SaysDown(std::string_view document) {
  const absl::string_view text =
      absl::StripAsciiWhitespace(absl::string_view(document.data(), document.size()));
  if (absl::EqualsIgnoreCase(text, "down")) return true;
  if (!absl::StartsWith(text, "{")) return false;
  const auto json = nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return false;
  const auto state = json.find("state");
  return state != json.end() && state->is_string() &&
         absl::EqualsIgnoreCase(state->get_ref<const std::string&>(), "down");
}

struct HealthWatch::Impl {
  std::string place;
  attempt::Poller* poller = nullptr;
  std::function<void()> down;
  UniqueFd bell;
  attempt::Poller::Watch watch = 0;
  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;  // by mutex
  std::thread thread;

  // The watching thread: looks, waits, looks, until the document says down or the drone leaves.
  void Run() {
    bool failed = false;
    std::unique_lock lock(mutex);
    while (!stop) {
      lock.unlock();
      absl::StatusOr<std::string> document = Fetch(place);
      if (!document.ok() && !failed) {
        spdlog::warn("the health document {} cannot be had, so it says nothing: {}", place,
                     std::string(document.status().message()));
      }
      failed = !document.ok();
      if (document.ok() && SaysDown(*document)) {
        const std::uint64_t one = 1;
        (void)!::write(bell.get(), &one, sizeof one);
        return;
      }
      lock.lock();
      wake.wait_for(lock, kEvery, [this] { return stop; });
    }
  }
};

HealthWatch::HealthWatch(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

absl::StatusOr<std::unique_ptr<HealthWatch>> HealthWatch::Create(std::string place, attempt::Poller* poller,
                                                                 std::function<void()> down) {
  auto impl = std::make_unique<Impl>();
  impl->place = std::move(place);
  impl->poller = poller;
  impl->down = std::move(down);
  impl->bell = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!impl->bell.valid()) return ErrnoStatus("make", "eventfd");
  Impl* raw = impl.get();
  ASSIGN_OR_RETURN(impl->watch, poller->Add(impl->bell.get(), EPOLLIN, [raw](std::uint32_t) {
    std::uint64_t rings;
    (void)!::read(raw->bell.get(), &rings, sizeof rings);
    raw->down();
  }));
  impl->thread = std::thread([raw] { raw->Run(); });
  return std::unique_ptr<HealthWatch>(new HealthWatch(std::move(impl)));
}

HealthWatch::~HealthWatch() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->wake.notify_one();
  impl_->thread.join();
  impl_->poller->Remove(impl_->watch);
}

}  // namespace waggle::drone
