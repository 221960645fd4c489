// The server and the client that enrols with it.
#include "common/rpc/https_client.h"
#include "tests/queen/http/http_fixture.h"

namespace waggle::queen::http {
namespace {

TEST_F(HttpServerTest, ServesThePinnedClient) {
  Start();
  const auto post = [&](const std::string& path, const std::string& body) {
    return rpc::Post("https://" + Address() + path, body, "text/plain", Authority().pin(), 30s);
  };
  const auto echo = post("/echo", "hello");
  ASSERT_TRUE(echo.ok()) << echo.status();
  EXPECT_EQ(echo->status, 200);
  EXPECT_EQ(echo->body, "hello");
  EXPECT_EQ(post("/nowhere", "hello")->status, 404);
  EXPECT_EQ(post("/echo", std::string(900'000, 'x'))->status, 413) << "told although it is still sending";
  const test::TestAuthority other;
  EXPECT_EQ(rpc::Post("https://" + Address() + "/echo", "", "text/plain", other.pin(), 30s).status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(Eventually([&] { return RefusedSoFar(Refused::kHandshake) == 1; }));
}

}  // namespace
}  // namespace waggle::queen::http
