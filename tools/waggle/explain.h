#pragma once

#include <span>
#include <string_view>

namespace waggle::cli {

// The long form of one code that ends an error message.
struct Explanation {
  std::string_view code;   // "WG101"; never reused for something else
  std::string_view title;  // in a few words
  std::string_view text;   // lines of at most 100 characters, the last without its end
};

// Every code there is, in their order.
std::span<const Explanation> Explanations();

}  // namespace waggle::cli
