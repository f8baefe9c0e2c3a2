// A page in one file: styles inside, nothing fetched. Written so that it is well-formed XML too.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace lyceum {

// Two drawings of one thing: for screens, and for phones.
std::string wide_and_narrow(const std::string& wide, const std::string& narrow);

class HtmlPage {
 public:
  // Markup that is already safe.
  void raw(const std::string& markup) { body_ += markup; }
  // A part of the page with a heading; `id` names it in the table of contents. Closes the part before.
  void section(const std::string& id, const std::string& heading, const std::string& lead = {});
  // A chart (or any figure) with a heading and a sentence that says how to read it. Wide ones scroll on
  // phones.
  void figure(const std::string& heading, const std::string& markup, const std::string& reading = {},
              bool scrolls = false);
  // Rows of text; `numeric[i]`: column i is aligned right.
  void table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows,
             const std::vector<bool>& numeric);
  void open(const char* css_class);  // <div class="...">
  void close();                      // </div>

  // The whole document. `header` is markup above the table of contents.
  std::string document(const std::string& title, const std::string& header);

 private:
  void end_section();
  std::string body_;
  std::vector<std::pair<std::string, std::string>> contents_;  // id, heading
  bool in_section_ = false;
};

}  // namespace lyceum
