#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "queen/http/admission.h"
#include "queen/http/router.h"

namespace waggle::queen::http {
namespace {

using Full = Admission::Full;

TEST(Admission, HasPlacesPerAddressAndInAll) {
  Admission admission(3, 2);
  auto a1 = admission.Take("a"), a2 = admission.Take("a");
  EXPECT_EQ(admission.Take("a").full, Full::kAddress);
  auto b = admission.Take("b");
  EXPECT_EQ(admission.Take("c").full, Full::kServer);
  EXPECT_EQ(admission.taken(), 3u);
  a1.place.reset();
  EXPECT_NE(admission.Take("c").place, nullptr);
  EXPECT_NE(admission.Take("a").place, nullptr) << "the place of `c` was given back at once";
  EXPECT_EQ(admission.taken(), 2u);
}

TEST(Admission, PlacesMayOutliveIt) {
  Admission::Place place;
  {
    Admission admission(1, 1);
    place = admission.Take("a").place;
  }
  EXPECT_NE(place, nullptr);
}

TEST(Router, FindsExactlyWhatWasAdded) {
  Router router;
  router.Add("GET", "/a", nullptr);
  router.Add("POST", "/a", nullptr, 7);
  router.Add("GET", "/b", nullptr);
  EXPECT_EQ(router.Find("POST", "/a").route->body_bytes, 7u);
  EXPECT_EQ(router.Find("GET", "/a").route->body_bytes, kBodyBytes);
  EXPECT_EQ(router.Find("PUT", "/a").route, nullptr);
  EXPECT_EQ(router.Find("PUT", "/a").allow, "GET, POST");
  EXPECT_EQ(router.Find("get", "/b").allow, "GET");
  for (const char* path : {"", "/", "/A", "/a/", "//a", "/./a", "/%61", "a", "/a?", "*", "https://q/a"}) {
    EXPECT_EQ(router.Find("GET", path).route, nullptr) << path;
    EXPECT_EQ(router.Find("GET", path).allow, "") << path;
  }
}

TEST(Problem, IsJsonWhateverTheDetailHolds) {
  const Response response = Problem(404, "a \"quote\", a \n and \xff");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.content_type, "application/problem+json");
  const auto body = nlohmann::json::parse(response.body);
  EXPECT_EQ(body["title"], "Not Found");
  EXPECT_EQ(body["status"], 404);
  EXPECT_EQ(body["detail"], "a \"quote\", a \n and \xef\xbf\xbd");
  EXPECT_EQ(ReasonPhrase(599), "Error");
}

}  // namespace
}  // namespace waggle::queen::http
