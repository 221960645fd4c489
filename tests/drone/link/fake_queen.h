#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace waggle::v1 {
class FromDrone;
class FromQueen;
class Hello;
class Welcome;
}  // namespace waggle::v1

namespace waggle::drone {

// A queen with scripted behaviour behind the real service on a real Unix socket. It keeps what drones say and
// the records they send, checks that those are contiguous, and acknowledges them as told.
class FakeQueen {
 public:
  explicit FakeQueen(std::string socket);
  ~FakeQueen();

  void Listen();
  void Disappear();  // all connections are cut, nothing listens

  // Script. Set before Listen, or while nobody is connected.
  // Fills the Welcome for a Hello; a status ends the stream instead.
  struct Refusal {
    int code = 0;  // grpc::StatusCode; 0 = welcome
    std::string text;
  };
  std::function<Refusal(const v1::Hello&, v1::Welcome*)> on_hello;
  void set_acknowledge(bool acknowledge);

  void Send(const v1::FromQueen& message);  // on the newest control stream
  void CutBulk();
  // Ends the control stream in mid-session with this status, at the drone's next message.
  void EndControl(Refusal status);

  std::vector<v1::Hello> hellos() const;
  std::vector<v1::FromDrone> said() const;        // everything but Hello
  std::string log(std::uint64_t epoch) const;     // records as they came
  std::string output(std::uint64_t epoch) const;  // payloads of stdout
  bool HasFinal(std::uint64_t epoch) const;
  std::size_t gaps() const;     // records out of order, or a repeat with other bytes
  std::size_t repeats() const;  // records sent again
  std::size_t bulk_streams() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace waggle::drone
