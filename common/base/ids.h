#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace waggle {

// A number that names one kind of thing. Zero means "none". Ids cross borders, pointers don't.
template <typename Tag>
class Id {
 public:
  constexpr Id() = default;
  constexpr explicit Id(std::uint64_t value) : value_(value) {}
  constexpr std::uint64_t value() const { return value_; }
  constexpr explicit operator bool() const { return value_ != 0; }
  constexpr auto operator<=>(const Id&) const = default;

 private:
  std::uint64_t value_ = 0;
};

using JobId = Id<struct JobTag>;          // global, never reused, a person can say it
using RunId = Id<struct RunTag>;          // shown as r and the integer
using DroneId = Id<struct DroneTag>;      // row id; the identity string of a drone is an attribute
using Epoch = Id<struct EpochTag>;        // fencing number of an attempt; from the store, only grows
using SessionId = Id<struct SessionTag>;  // session epoch: one connection period of a drone, only grows
using PeerId = Id<struct PeerTag>;        // who enrolled from another host; the number of its invitation
using InvitationId = Id<struct InvitationTag>;
using Seq = Id<struct SeqTag>;  // position of a record in its attempt: 1, 2, 3, …

}  // namespace waggle

template <typename Tag>
struct std::hash<waggle::Id<Tag>> {
  std::size_t operator()(waggle::Id<Tag> id) const noexcept { return std::hash<std::uint64_t>()(id.value()); }
};
