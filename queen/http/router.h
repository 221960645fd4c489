#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queen/http/limits.h"

namespace waggle::queen::http {

// In the order they came; names as they were sent.
using Fields = std::vector<std::pair<std::string, std::string>>;

// A complete request, checked for form and size only: everything in it is what a stranger says.
struct Request {
  std::string method;
  std::string path;   // of the target, up to the first '?'; nothing is decoded or normalised
  std::string query;  // behind it, or empty
  Fields fields;
  std::string body;
  std::string peer;  // the client's address without its port: "192.0.2.1", "2001:db8::1"

  // The first field of this name, in any case; empty when there is none. A view into `fields`.
  std::string_view Header(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type;
  std::string body;
};

// An answer of application/problem+json: {"title", "status", "detail"}. What is not UTF-8 in `detail` is
// replaced.
Response Problem(int status, std::string_view detail);

// "Not Found"; "Error" for a status nobody registered.
std::string_view ReasonPhrase(int status);

// Takes one answer, from any thread, also after the server is gone. The first call counts; when the last copy
// goes without one, the client is told 500.
using Answer = std::function<void(Response)>;

// Called on a thread of the server, which serves other clients too: it never blocks, and answers later from
// elsewhere if there is something to wait for.
using Handler = std::function<void(Request, Answer)>;

struct Route {
  Handler handler;
  std::size_t body_bytes;  // larger bodies are refused unread
};

// What is served: these methods of these paths and nothing else. A path is equal or unknown: "//", "%2e", a
// trailing slash, another case or a whole URL as target are just other paths. Filled before the server
// starts, constant from then on.
class Router {
 public:
  // REQUIRES: the pair is new; `path` starts with '/' and has no '?'.
  void Add(std::string method, std::string path, Handler handler, std::size_t body_bytes = kBodyBytes);

  struct Found {
    const Route* route = nullptr;  // lives as long as the router
    std::string allow;             // without a route: the methods this path has, "GET, POST"; empty: unknown
  };
  Found Find(std::string_view method, std::string_view path) const;

 private:
  std::map<std::string, std::map<std::string, Route, std::less<>>, std::less<>> paths_;
};

}  // namespace waggle::queen::http
