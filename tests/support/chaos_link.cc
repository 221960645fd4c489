#include "tests/support/chaos_link.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "tests/support/stream_socket.h"

namespace waggle::test {
namespace {

constexpr std::size_t kChunk = 64 * 1024;   // bytes of one read
constexpr std::size_t kShare = 4 * kChunk;  // bytes of one way before the other connections have their turn
constexpr Duration kLookAgain = std::chrono::milliseconds(5);  // no event says that TCP delivered all

std::uint64_t& Delivered(Way way, ChaosCounts& counts) {
  return way == Way::kUp ? counts.up : counts.down;
}

// recv(2) into the thread's own buffer; the count, 0 at the end, -1 with errno.
ssize_t Receive(const UniqueFd& fd, std::size_t most, std::string_view* bytes) {
  static thread_local std::array<char, kChunk> buffer;
  ssize_t count = 0;
  do {
    count = ::recv(fd.get(), buffer.data(), std::min(most, buffer.size()), 0);
  } while (count < 0 && errno == EINTR);
  *bytes = {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
  return count;
}

}  // namespace

ChaosLink::ChaosLink(UniqueFd client) {
  ends_[0].fd = std::move(client);
}

void ChaosLink::Connect(UniqueFd target) {
  ends_[1].fd = std::move(target);
}

void ChaosLink::Ready(Side side, std::uint32_t events) {
  End& end = ends_[static_cast<std::size_t>(side)];
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) end.readable = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) end.writable = true;
}

void ChaosLink::Cut() {
  for (End& end : ends_) Abort(std::move(end.fd));
  for (ChaosPipe& pipe : pipes_) pipe.Clear();
  leaving_ = false;
}

ChaosLink::Next ChaosLink::Step(World& world) {
  if (leaving_) {
    for (End& end : ends_) {
      if (end.fd.valid() && !AllDelivered(end.fd)) return Next::kWait;
    }
    Cut();
    return Next::kOver;
  }
  if (!connected()) return Next::kWait;
  bool more = false;
  for (Way way : {Way::kUp, Way::kDown}) {
    const Flow flow = Move(way, world);
    if (flow == Flow::kCut) return leaving_ ? Next::kWait : Next::kOver;
    if (flow == Flow::kBroken) {
      Cut();
      return Next::kOver;
    }
    more |= flow == Flow::kMore;
  }
  if (ends_[0].ended && ends_[1].ended &&
      held() == 0) {  // each end was told that of the other, or never will
    for (End& end : ends_) end.fd.Reset();
    return Next::kOver;
  }
  return more ? Next::kAgain : Next::kWait;
}

ChaosLink::Flow ChaosLink::Move(Way way, World& world) {
  if (world.faults.of(way).black_hole) return Swallow(way, world);
  if (Lost(way)) {
    ++world.counts.cut;
    return Flow::kBroken;
  }
  const Flow taken = Take(way, world);
  if (taken == Flow::kBroken) return taken;
  const Flow given = Give(way, world);
  return given == Flow::kIdle ? taken : given;
}

ChaosLink::Flow ChaosLink::Swallow(Way way, World& world) {
  End& from = From(way);
  auto lose = [&](std::size_t bytes) {
    world.counts.lost += bytes;
    Lost(way) = true;
  };
  if (!Pipe(way).empty()) lose(Pipe(way).size());
  Pipe(way).Clear();
  std::size_t swallowed = 0;
  while (from.readable && !from.ended) {
    if (swallowed >= kShare) return Flow::kMore;
    std::string_view bytes;
    const ssize_t count = Receive(from.fd, kChunk, &bytes);
    if (count < 0 && errno == EAGAIN) {
      from.readable = false;
      break;
    }
    if (count <= 0) from.ended = true;  // of an end or a reset the other side hears nothing either
    lose(bytes.size());
    swallowed += bytes.size();
  }
  return Flow::kIdle;
}

// A socket failed with errno.
ChaosLink::Flow ChaosLink::Broken(World& world) {
  if (errno == ECONNREFUSED) ++world.counts.unreachable;  // only a connect that was under way says so
  return Flow::kBroken;
}

ChaosLink::Flow ChaosLink::Take(Way way, World& world) {
  End& from = From(way);
  ChaosPipe& pipe = Pipe(way);
  const WayFaults& faults = world.faults.of(way);
  std::size_t taken = 0;
  while (from.readable && !from.ended && !faults.stalled && pipe.Room() > 0) {
    if (taken >= kShare) return Flow::kMore;
    std::string_view bytes;
    const ssize_t count = Receive(from.fd, pipe.Room(), &bytes);
    if (count < 0) {
      if (errno != EAGAIN) return Broken(world);
      from.readable = false;
      break;
    }
    if (count == 0) from.ended = true;
    const Duration jitter(faults.jitter.count() > 0 ? world.random.Between(0, faults.jitter.count())
                                                    : std::int64_t{0});
    pipe.Push(bytes, world.now, faults.delay + jitter);
    taken += bytes.size();
  }
  return Flow::kIdle;
}

ChaosLink::Flow ChaosLink::Give(Way way, World& world) {
  End& to = To(way);
  ChaosPipe& pipe = Pipe(way);
  std::optional<std::uint64_t>& cut_after = world.cut_after[static_cast<std::size_t>(way)];
  std::size_t given = 0;
  while (to.writable) {
    std::string_view bytes = pipe.Ready(world.now, world.faults.of(way).rate);
    if (cut_after) bytes = bytes.substr(0, *cut_after);
    if (bytes.empty()) break;
    if (given >= kShare) return Flow::kMore;
    const ssize_t count = ::send(to.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return ReceiverGone(way, world);
      to.writable = false;
      break;
    }
    const auto size = static_cast<std::size_t>(count);
    pipe.Pop(size);
    given += size;
    Delivered(way, world.counts) += size;
    if (cut_after && (*cut_after -= size) == 0) {
      cut_after.reset();
      ++world.counts.cut;
      CutHere(way);
      return Flow::kCut;
    }
  }
  if (From(way).ended && pipe.empty() && !to.shut) {
    ::shutdown(to.fd.get(), SHUT_WR);
    to.shut = true;
  }
  // Room was made for what the sender has ready. A little room waits until the pipe is due again.
  const bool read_on = From(way).readable && !From(way).ended && !world.faults.of(way).stalled;
  return given > 0 && read_on && pipe.Room() >= kChunk ? Flow::kMore : Flow::kIdle;
}

// The receiver closed or reset its end. That travels the other way, where it may be lost.
ChaosLink::Flow ChaosLink::ReceiverGone(Way way, World& world) {
  if (!world.faults.of(Other(way)).black_hole) return Broken(world);
  Lost(Other(way)) = true;
  world.counts.lost += Pipe(way).size();
  Pipe(way).Clear();
  return Flow::kIdle;
}

// The receiver keeps what it was sent: a reset may only follow when its kernel has all of it.
void ChaosLink::CutHere(Way way) {
  Abort(std::move(From(way).fd));
  for (ChaosPipe& pipe : pipes_) pipe.Clear();
  leaving_ = !AllDelivered(To(way).fd);
  if (!leaving_) Abort(std::move(To(way).fd));
}

Time ChaosLink::Due(const World& world) const {
  if (leaving_) return world.now + kLookAgain;
  Time due = Time::max();
  for (Way way : {Way::kUp, Way::kDown}) {
    const End& to = ends_[way == Way::kUp ? 1 : 0];
    if (to.writable) due = std::min(due, pipes_[static_cast<std::size_t>(way)].Due());
  }
  return due;
}

}  // namespace waggle::test
