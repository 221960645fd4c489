#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace waggle::queen::http {

// Places for connections: so many per address, so many in all. Thread-safe. A place may outlive it.
class Admission {
 public:
  // Given back by whoever lets go of it.
  using Place = std::shared_ptr<const void>;
  enum class Full { kNo, kAddress, kServer };
  struct Ticket {
    Place place;  // null when full
    Full full = Full::kNo;
  };

  Admission(std::size_t in_all, std::size_t per_address);
  Ticket Take(const std::string& address);
  std::size_t taken() const;

 private:
  struct Book;
  std::shared_ptr<Book> book_;
};

}  // namespace waggle::queen::http
