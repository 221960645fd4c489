#include "queen/app/mailbox.h"

#include <iterator>

#include "common/base/await.h"
#include "common/base/failpoint.h"
#include "common/base/planted.h"

namespace waggle::queen {
namespace {

constexpr std::size_t kInbox = 65'536;          // events; more means the disk cannot follow
constexpr std::size_t kPendingEffects = 8'192;  // of the one batch the core may be ahead of the disk
constexpr Duration kNextTry = std::chrono::milliseconds(200);  // of a commit that found no space
constexpr int kTriesAtStop = 10;                               // nothing of such a commit was ever said
constexpr std::size_t kPendingDrones =
    1'024;  // rows of drones likewise: a drone may change as often as it likes

template <typename T>
void MoveAll(std::vector<T>& from, std::vector<T>& to) {
  if (to.empty()) {
    to = std::move(from);
  } else {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  }
}

// What the queen tells herself must never be turned away.
bool IsInternal(const Event& event) {
  return std::holds_alternative<event::Disconnected>(event) ||
         std::holds_alternative<event::LogComplete>(event) || std::holds_alternative<event::Storage>(event);
}

}  // namespace

Mailbox::Mailbox(Hive hive, Store& store, Outside outside)
    : hive_(std::move(hive)), store_(store), outside_(std::move(outside)) {}

Mailbox::~Mailbox() {
  Stop();
}

void Mailbox::Start() {
  {
    absl::MutexLock lock(&mutex_);
    Append(hive_.Start(BootClock::now(), WallNow()));
  }
  step_thread_ = std::thread([this] { StepLoop(); });
  write_thread_ = std::thread([this] { WriteLoop(); });
}

bool Mailbox::Post(Event event, std::shared_ptr<const void> hold) {
  absl::MutexLock lock(&mutex_);
  if ((stopping_ || inbox_.size() >= kInbox) && !IsInternal(event)) return false;
  inbox_.push_back({std::move(event), std::move(hold)});
  return true;
}

void Mailbox::Ask(const std::function<Event(RequestId)>& make, std::function<void(AnswerValue)> done) {
  absl::Status why = absl::UnavailableError("the queen is overloaded or stops\nnext: try again");
  {
    absl::MutexLock lock(&mutex_);
    if (starved_) {
      why = absl::ResourceExhaustedError(
          "the queen cannot store anything: her disk is full; nothing was changed\n"
          "next: free space on it; she goes on by herself");
    } else if (!stopping_ && inbox_.size() < kInbox) {
      RequestId id(++next_request_);
      waiting_.emplace(id, std::move(done));
      inbox_.push_back({make(id), nullptr});
      return;
    }
  }
  done(std::move(why));
}

// Mailbox thread: the only one that touches the core.
void Mailbox::StepLoop() {
  std::deque<Posted> events;
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !inbox_.empty(); };
      if (wake_at_) {
        AwaitUntil(mutex_, absl::Condition(&ready), *wake_at_);
      } else {
        mutex_.Await(absl::Condition(&ready));
      }
      auto room = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return pending_.after.size() < kPendingEffects && pending_.rows.drones.size() < kPendingDrones;
      };
      mutex_.Await(absl::Condition(&room));
      events.swap(inbox_);
      if (events.empty() && stopping_) {
        stepped_out_ = true;
        return;
      }
    }
    if (events.empty()) events.push_back({event::Tick{}, nullptr});
    for (const Posted& posted : events) {
      Effects effects = hive_.Step(BootClock::now(), WallNow(), posted.event);
      absl::MutexLock lock(&mutex_);
      Append(std::move(effects));
    }
    events.clear();
  }
}

void Mailbox::Append(Effects effects) {
  wake_at_ = effects.wake_at;
  WriteBatch& rows = effects.rows;
  MoveAll(rows.jobs, pending_.rows.jobs);
  MoveAll(rows.attempts, pending_.rows.attempts);
  MoveAll(rows.drones, pending_.rows.drones);
  MoveAll(rows.runs, pending_.rows.runs);
  MoveAll(rows.documents, pending_.rows.documents);
  MoveAll(rows.submissions, pending_.rows.submissions);
  MoveAll(rows.peers, pending_.rows.peers);
  MoveAll(rows.invitations, pending_.rows.invitations);
  MoveAll(rows.restores, pending_.rows.restores);
  if (rows.counters) pending_.rows.counters = rows.counters;
  MoveAll(effects.after, pending_.after);
}

// Writer thread: one transaction per batch, then what the batch says.
void Mailbox::WriteLoop() {
  for (;;) {
    Batch batch;
    {
      absl::MutexLock lock(&mutex_);
      auto ready = [this]()
                       ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stepped_out_ || !pending_.empty(); };
      mutex_.Await(absl::Condition(&ready));
      if (pending_.empty()) return;
      batch = std::exchange(pending_, Batch{});
    }
    failpoint::Pass("queen.batch.stepped");
    if (!batch.rows.empty()) {
      absl::Status stored = Commit(batch.rows);
      if (!stored.ok()) return outside_.failed(stored);
    }
    failpoint::Pass("queen.batch.stored");
    outside_.committed(batch.rows);
    for (Effect& effect : batch.after) {
      Perform(effect);
      failpoint::Pass("queen.effect.released");
    }
  }
}

absl::Status Mailbox::Commit(const WriteBatch& rows) {
  absl::Status stored = store_.Commit(rows);
  for (int tries_left = kTriesAtStop; absl::IsResourceExhausted(stored) && tries_left > 0;) {
    outside_.starved(stored);
    if (planted::Is(planted::kSaidWithoutSpace)) return absl::OkStatus();
    {
      absl::MutexLock lock(&mutex_);
      starved_ = true;
      if (stopping_) --tries_left;
      auto never = [] { return false; };
      AwaitFor(mutex_, absl::Condition(&never), kNextTry);
    }
    stored = store_.Commit(rows);
  }
  absl::MutexLock lock(&mutex_);
  starved_ = false;
  return stored;
}

void Mailbox::Perform(Effect& effect) {
  auto* answer = std::get_if<effect::Answer>(&effect);
  if (answer == nullptr) return outside_.perform(effect);
  std::function<void(AnswerValue)> done;
  {
    absl::MutexLock lock(&mutex_);
    auto found = waiting_.find(answer->request);
    if (found == waiting_.end()) return;
    done = std::move(found->second);
    waiting_.erase(found);
  }
  done(std::move(answer->value));
}

void Mailbox::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (step_thread_.joinable()) step_thread_.join();
  if (write_thread_.joinable()) write_thread_.join();
  std::unordered_map<RequestId, std::function<void(AnswerValue)>> unanswered;
  {
    absl::MutexLock lock(&mutex_);
    unanswered.swap(waiting_);
  }
  for (auto& [id, done] : unanswered) done(absl::UnavailableError("the queen stops\nnext: try again"));
}

}  // namespace waggle::queen
