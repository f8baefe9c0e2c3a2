// Chat templates as a filter, for tools/check_templates.py: on every line of stdin a JSON object with
// "template", "variables" and "now"; on stdout "ok " or "error " and a JSON string.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "text/chat_template.h"

using namespace lyceum;

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto json = nlohmann::json::parse(line);
    std::string word = "ok ", text;
    try {
      const auto chat = ChatTemplate::parse(json["template"].get<std::string>(), "t");
      const auto now = static_cast<std::time_t>(json.value("now", int64_t{0}));
      for (const MarkedText& part : chat.render(json["variables"].get<std::string>(), "{}", {}, now))
        text += part.text;
    } catch (const Error& e) {
      word = "error ";
      text = e.what();
    }
    std::cout << word << nlohmann::json(text).dump() << std::endl;
  }
}
