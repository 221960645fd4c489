// What a plugin says, its plugin.yaml and what a job configures: how lines are cut never matters, what was
// told can be told again, and a configuration that was completed is complete.
#include <nlohmann/json.hpp>

#include "drone/plugins/channel.h"
#include "drone/plugins/config.h"
#include "drone/plugins/data.h"
#include "drone/plugins/manifest.h"
#include "tests/fuzz/fuzz.h"

namespace waggle::fuzz {
namespace {

using nlohmann::json;
using plugins::Channel;
using plugins::Message;

struct Heard {
  std::vector<Message> messages;
  std::string fault;
  bool greeted = false, done = false;
};

Heard Hear(std::string_view stream, std::string_view cuts) {
  Heard heard;
  Channel channel;
  absl::Status read;
  for (std::size_t i = 0; !stream.empty() && read.ok(); ++i) {
    const std::size_t size =
        cuts.empty() ? stream.size() : static_cast<unsigned char>(cuts[i % cuts.size()]) + 1u;
    read = channel.Feed(stream.substr(0, size), &heard.messages);
    stream.remove_prefix(std::min(size, stream.size()));
  }
  if (read.ok()) read = channel.Close(&heard.messages);
  Require(read.ok() || channel.Feed("{\"comment\":\"x\"}\n", &heard.messages) == read, "a fault stays");
  heard.fault = std::string(read.message());
  heard.greeted = channel.greeted();
  heard.done = channel.done();
  return heard;
}

bool IsText(const std::string& text) {
  return text.find('\0') == std::string::npos;
}

void CheckMessage(const Message& message, plugins::DataStore* store) {
  if (const auto* env = std::get_if<plugins::SetEnv>(&message)) {
    for (const auto& [name, value] : env->env) {
      Require(!name.empty() && name.find('=') == std::string::npos && IsText(name) && IsText(value),
              "a variable can be one");
    }
  } else if (const auto* command = std::get_if<plugins::AskCommand>(&message)) {
    Require(command->run.empty() != command->argv.empty(), "a command is a script or a program");
    for (const std::string& arg : command->argv) Require(IsText(arg), "an argument can be one");
  } else if (const auto* path = std::get_if<plugins::AddPath>(&message)) {
    for (const std::string& directory : path->directories) {
      Require(!directory.empty() && directory.find(':') == std::string::npos, "a directory is one of a PATH");
    }
  } else if (const auto* data = std::get_if<plugins::Data>(&message)) {
    const std::string before = store->AsJson();
    const bool applied = store->Apply("p", *data).ok();
    Require(applied || store->AsJson() == before, "what does not fit changes nothing");
    Require(!json::parse(plugins::DataStore::Event("p", *data), nullptr, false).is_discarded(),
            "the record of data is JSON");
  }
}

void CheckChannel(Input& in) {
  const std::string cuts(in.Text());
  const std::string stream = (in.Flag() ? "{\"hello\":1}\n" : "") + std::string(in.Rest());
  const Heard whole = Hear(stream, "");
  const Heard pieces = Hear(stream, cuts.empty() ? std::string_view("\0", 1) : std::string_view(cuts));
  Require(whole.fault == pieces.fault && whole.done == pieces.done && whole.greeted == pieces.greeted &&
              whole.messages.size() == pieces.messages.size(),
          "how a stream is cut does not matter");
  Require(whole.greeted || whole.messages.empty(), "nothing counts before the greeting");
  plugins::DataStore store;
  for (const Message& message : whole.messages) CheckMessage(message, &store);
  Require(!json::parse(store.AsJson(), nullptr, false).is_discarded(), "the data is JSON");
}

void CheckConfig(Input& in) {
  const std::string manifest_text(in.Text());
  const auto manifest = plugins::ReadManifest(manifest_text, "plugin.yaml");
  if (!manifest.ok()) return;
  const auto config = plugins::ReadConfig(*manifest, in.Rest());
  if (!config.ok() || !config->enabled) return;
  const auto again = plugins::ReadConfig(*manifest, config->json);
  Require(again.ok() && again->json == config->json && again->variables == config->variables,
          "a completed configuration is complete");
  for (const auto& [name, value] : config->variables) Require(IsText(value), "a setting can be a variable");
}

}  // namespace

void Run(std::string_view input) {
  Input in(input);
  if (in.Flag()) {
    CheckConfig(in);
  } else {
    CheckChannel(in);
  }
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  const std::string_view lines[] = {
      "{\"env\":{\"A\":\"1\"}}\n{\"path\":[\"bin\"]}\n{\"done\":true}\n",
      "{\"command\":{\"name\":\"n\",\"run\":\"make\",\"screen\":\"m\",\"silent\":true,\"env\":{\"C\":\"d\"},"
      "\"cwd\":\"s\"}}\n"
      "{\"command\":{\"argv\":[\"make\",\"-j\"]}}\n",
      "{\"comment\":\"hi "
      "\\u00e9\"}\n{\"warning\":{\"title\":\"t\",\"description\":\"d\",\"severity\":\"major\"}}\n",
      "{\"data\":{\"method\":\"push\",\"path\":\"a.b\",\"value\":{\"x\":[1,2.5,null]}}}\n"
      "{\"data\":{\"method\":\"extend\",\"path\":\"a\",\"value\":{}}}\n"
      "{\"data\":{\"method\":\"replace\",\"path\":\"\",\"value\":\"\"}}\n{\"nothing\":true}",
  };
  for (std::string_view text : lines) {
    std::string seed;
    ByteWriter w(&seed);
    w.U8(0);
    PutText(w, "\x03\x01\x10");
    w.U8(1);
    w.Raw(text.data(), text.size());
    seeds.push_back(seed);
  }
  std::string seed;
  ByteWriter w(&seed);
  w.U8(1);
  PutText(w,
          "name: a\nversion: 1.0\nphases: [test]\nneeds: [sh]\nconfig:\n  s: {type: string, default: x}\n"
          "  i: {type: integer, default: 1}\n  b: {type: boolean}\n  l: {type: list, default: [a]}\n"
          "  m: {type: map, default: {a: b}}\n  e: {type: enum, values: [p, q], required: true}\n");
  const std::string_view config = "{\"e\":\"p\",\"i\":\"4\",\"b\":true,\"m\":{\"x\":\"y\"},\"l\":[\"1\",2]}";
  w.Raw(config.data(), config.size());
  seeds.push_back(seed);
  return seeds;
}

}  // namespace waggle::fuzz
