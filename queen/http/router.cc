#include "queen/http/router.h"

#include <cassert>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace waggle::queen::http {

std::string_view Request::Header(std::string_view name) const {
  for (const auto& [key, value] : fields) {
    if (absl::EqualsIgnoreCase(key, absl::string_view(name.data(), name.size()))) return value;
  }
  return {};
}

Response Problem(int status, std::string_view detail) {
  const nlohmann::ordered_json body = {
      {"title", ReasonPhrase(status)}, {"status", status}, {"detail", detail}};
  return {status, "application/problem+json",
          body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)};
}

std::string_view ReasonPhrase(int status) {
  static constexpr std::pair<int, std::string_view> kPhrases[] = {
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Content"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {503, "Service Unavailable"},
      {505, "HTTP Version Not Supported"},
  };
  for (const auto& [number, phrase] : kPhrases) {
    if (number == status) return phrase;
  }
  return "Error";
}

void Router::Add(std::string method, std::string path, Handler handler, std::size_t body_bytes) {
  assert(path.starts_with('/') && path.find('?') == std::string::npos);
  [[maybe_unused]] const bool added =
      paths_[std::move(path)].emplace(std::move(method), Route{std::move(handler), body_bytes}).second;
  assert(added);
}

Router::Found Router::Find(std::string_view method, std::string_view path) const {
  const auto methods = paths_.find(path);
  if (methods == paths_.end()) return {};
  const auto route = methods->second.find(method);
  if (route != methods->second.end()) return {.route = &route->second};
  Found found;
  for (const auto& [other, unused] : methods->second) {
    absl::StrAppend(&found.allow, found.allow.empty() ? "" : ", ", other);
  }
  return found;
}

}  // namespace waggle::queen::http
