#pragma once

#include <string>

#include "drone/core/messages.h"
#include "queen/core/events.h"

// What hive.proto and its conversions do between the two cores, without the bytes.
namespace waggle::sim {

// Who is at the other end of a stream from a drone, as the transport says.
struct Peer {
  std::string name, identity;
  bool local = true;  // came over the queen's own socket
  std::string place;  // as in Hello.place
};

queen::Event ToQueen(const drone::ControlUp& message, queen::ConnectionId connection, const Peer& peer);
// `document`: of an Assign.
drone::ControlDown ToDrone(const queen::ToDrone& message, const std::string& document);

}  // namespace waggle::sim
