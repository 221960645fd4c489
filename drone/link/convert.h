#pragma once

#include <optional>
#include <string>

#include "drone/core/messages.h"

namespace waggle::v1 {
class BulkDown;
class FromDrone;
class FromQueen;
class HeldAttempt;
class Hello;
}  // namespace waggle::v1

// drone/core/messages.h ↔ hive.proto.
namespace waggle::drone {

struct Vitals {
  double load1 = 0;
  std::uint64_t memory_free_kib = 0, disk_free_kib = 0;
};
// Of this host, and of the file system of `data`.
Vitals ReadVitals(const std::string& data);

// `text` as protobuf takes it: a message with text that is not UTF-8 (or was cut within a character) is
// refused, and with it the session.
std::string ValidText(std::string text);

void ToProto(const Held& held, v1::HeldAttempt* out);
void ToProto(const Hello& hello, v1::Hello* out);  // what the core knows of it
// REQUIRES: not a Hello.
void ToProto(const ControlUp& message, const Vitals& vitals, v1::FromDrone* out);

// nullopt: a message this drone does not know, from a newer queen, or an epoch that no queen gives; it is
// passed over.
std::optional<ControlDown> FromProto(v1::FromQueen& message, WallMillis received);
std::optional<BulkDown> FromProto(const v1::BulkDown& message);

}  // namespace waggle::drone
