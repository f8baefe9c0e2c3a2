#include "analysis/report.h"

#include <algorithm>
#include <cstdio>

#include "analysis/html.h"
#include "analysis/report_parts.h"
#include "analysis/svg.h"
#include "base/progress.h"

namespace lyceum {
namespace {

bool any_finite(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

std::string header_of(const ReportData& data) {
  std::string out;
  if (!data.kicker.empty()) out += "<p class=\"kicker\">" + escape_html(data.kicker) + "</p>";
  out += "<h1>" + escape_html(data.title) + "</h1>";
  if (!data.lead.empty()) out += "<p class=\"lead\">" + escape_html(data.lead) + "</p>";
  if (data.headlines.empty()) return out;
  out += "<div class=\"cards\">";
  for (const Headline& h : data.headlines) {
    const std::string tone = h.tone == "good" || h.tone == "warn" ? " " + h.tone : "";
    out += "<div class=\"card\"><div class=\"label\">" + escape_html(h.label) + "</div><div class=\"value" +
           tone + "\">" + escape_html(h.value) + "</div>" +
           (h.note.empty() ? "" : "<div class=\"note\">" + escape_html(h.note) + "</div>") + "</div>";
  }
  return out + "</div>";
}

void add_scores(HtmlPage& page, const std::vector<DomainScore>& scores) {
  if (scores.empty()) return;
  page.section("held-out", "Held-out text",
               "Bits per byte on documents that were never trained on, whole documents, lower is better. xz "
               "-9 packs the "
               "same bytes: a program that knows no language.");
  double bytes = 0, model = 0, xz = 0;
  int compared = 0, won = 0;
  BarChart chart;
  chart.title = "Held-out bits per byte by domain";
  chart.value_label = "bits per byte";
  chart.width = 1020;
  chart.series = {{"this model", {}, 0}, {"xz -9", {}, 8}};
  bool lost = false;
  for (const DomainScore& s : scores) {
    chart.categories.push_back(s.name);
    chart.series[0].values.push_back(s.model_bits);
    chart.series[1].values.push_back(s.xz_bits);
    chart.notes.push_back("");
    if (!std::isfinite(s.model_bits) || !std::isfinite(s.xz_bits)) continue;
    ++compared;
    won += s.model_bits < s.xz_bits;
    if (s.model_bits >= s.xz_bits) chart.notes.back() = "xz is smaller", lost = true;
    bytes += static_cast<double>(s.bytes);
    model += s.model_bits * static_cast<double>(s.bytes);
    xz += s.xz_bits * static_cast<double>(s.bytes);
  }
  if (!lost) chart.notes.clear();
  if (bytes > 0) {
    char text[300];
    const double ratio = 1 - model / xz;
    std::snprintf(text, sizeof text,
                  "Over all %s of held-out text: <strong>%.3f</strong> bits per byte, xz -9 needs "
                  "<strong>%.3f</strong> "
                  "(<span class=\"%s\">%.0f %% %s</span>). The model is smaller in %d of %d domains.",
                  human_bytes(bytes).c_str(), model / bytes, xz / bytes, ratio > 0 ? "good" : "warn",
                  100 * std::abs(ratio), ratio > 0 ? "less" : "more", won, compared);
    page.raw("<p class=\"verdict\">" + std::string(text) + "</p>\n");
  } else {
    chart.series.pop_back();
  }
  BarChart narrow = chart;
  narrow.width = 350;
  page.figure("By domain", wide_and_narrow(bar_chart(chart), bar_chart(narrow)));
}

void add_samples(HtmlPage& page, const std::vector<ReportSample>& samples) {
  if (samples.empty()) return;
  page.section("samples", "What it writes",
               "Faint: the beginning of a held-out document, given. Strong: how the model goes on.");
  page.open("grid");
  for (const ReportSample& s : samples)
    page.raw(std::string("<article class=\"card sample") + (s.code ? "" : " prose") +
             "\"><div><span class=\"chip\">" + escape_html(s.domain) +
             "</span></div><pre><span class=\"prefix\">" + escape_html(s.prefix) + "</span>" +
             escape_html(s.continuation) + "</pre></article>\n");
  page.close();
}

void add_curves(HtmlPage& page, const ReportCurves& c) {
  if (!any_finite(c.loss)) return;
  const bool by_tokens = c.tokens.size() == c.step.size() && any_finite(c.tokens);
  const std::vector<double>& x = by_tokens ? c.tokens : c.step;
  page.section("training", "Training", "Faint: every step. Strong: the running mean.");
  int width = 430, height = 230;
  page.open("grid");
  const auto chart = [&](const std::string& title, const std::vector<double>& y, int colour, auto&& adjust,
                         const std::string& reading) {
    if (!any_finite(y)) return;
    LineChart lines;
    lines.title = title;
    lines.x_label = by_tokens ? "tokens" : "step";
    lines.series = {{"", x, y, false, colour}};
    lines.smooth = true;
    lines.width = width, lines.height = height;
    adjust(lines);
    page.figure(title, line_chart(lines), reading);
  };
  const auto nothing = [](LineChart&) {};
  chart("Loss", c.loss, 0, nothing, "Nats per token on the batches of training.");
  if (any_finite(c.held_out_bits)) {
    LineChart lines;
    lines.title = "Held-out bits per byte in training";
    lines.width = width, lines.height = height;
    lines.x_label = "step";
    lines.series = {{"", c.held_out_step, c.held_out_bits, false, 2}};
    page.figure("Held-out bits per byte", line_chart(lines), "Byte-weighted over all domains.");
  }
  chart(
      "Worst expert load", c.worst_load, 1,
      [](LineChart& l) {
        l.zero_based = true, l.references = {{1, "balanced"}};
      },
      "Tokens of the busiest expert over the mean, worst layer.");
  chart(
      "Gradient norm", c.gradient_norm, 3, [](LineChart& l) { l.log_y = true; },
      "Before clipping, logarithmic.");
  page.close();
  page.open("thirds");
  width = 320, height = 210;
  chart(
      "Learning rate", c.lr, 5, [](LineChart& l) { l.zero_based = true, l.smooth = false; }, "");
  chart(
      "Tokens per second", c.tokens_per_second, 6, [](LineChart& l) { l.zero_based = true; }, "");
  chart(
      "Share of the machine's measured peak", c.share_of_peak, 4,
      [](LineChart& l) { l.zero_based = true, l.percent = true; }, "");
  page.close();
}

std::string count_text(int64_t n) { return n == 0 ? "0" : human_count(static_cast<double>(n)); }

void add_data(HtmlPage& page, const std::vector<DataRow>& rows) {
  if (rows.empty()) return;
  page.section("data", "Data", "What was kept, and what was dropped and why.");
  std::vector<std::vector<std::string>> cells;
  DataRow total{"total", 0, 0, 0, 0, {}};
  ShareBars shares;
  shares.title = "Share of the domains";
  shares.width = 1020;
  shares.rows = {""};
  for (const DataRow& row : rows) {
    std::string why;
    for (const auto& [reason, n] : row.dropped) {
      if (!why.empty()) why += ", ";
      why += reason + " " + std::to_string(n);
    }
    cells.push_back({row.name, std::to_string(row.documents), human_bytes(static_cast<double>(row.bytes)),
                     count_text(row.tokens), std::to_string(row.dropped_documents), why});
    total.documents += row.documents, total.bytes += row.bytes, total.tokens += row.tokens;
    total.dropped_documents += row.dropped_documents;
    shares.parts.push_back(row.name);
    shares.values.push_back(static_cast<double>(row.bytes));
  }
  cells.push_back({total.name, std::to_string(total.documents), human_bytes(static_cast<double>(total.bytes)),
                   count_text(total.tokens), std::to_string(total.dropped_documents), ""});
  if (rows.size() > 1 && rows.size() <= 16) {
    ShareBars narrow = shares;
    narrow.width = 350;
    page.figure("Bytes by domain", wide_and_narrow(share_bars(shares), share_bars(narrow)));
  }
  page.open("card");
  page.table({"Domain", "Documents", "Size", "Tokens", "Dropped", "Why (documents)"}, cells,
             {false, true, true, true, true, false});
  page.close();
}

void add_costs(HtmlPage& page, const ReportCosts& costs) {
  if (costs.parts.empty() && costs.figures.empty()) return;
  page.section("cost", "What it costs",
               "Memory is for all parameters; arithmetic only for those that a token uses.");
  page.open("grid");
  if (!costs.parts.empty()) {
    ShareBars shares;
    shares.title = "Parameters by part";
    shares.rows = {"stored", "used per token"};
    shares.width = 400;
    for (const CostRow& row : costs.parts) shares.parts.push_back(row.part);
    for (const CostRow& row : costs.parts) shares.values.push_back(static_cast<double>(row.total));
    for (const CostRow& row : costs.parts) shares.values.push_back(static_cast<double>(row.active));
    std::vector<std::vector<std::string>> cells;
    int64_t total = 0, active = 0;
    for (const CostRow& row : costs.parts) {
      cells.push_back({row.part, count_text(row.total), count_text(row.active)});
      total += row.total, active += row.active;
    }
    cells.push_back({"total", count_text(total), count_text(active)});
    page.open("card");
    page.raw("<h3>Parameters</h3><div style=\"margin:12px 0 10px\">" + share_bars(shares) + "</div>");
    page.table({"Part", "Stored", "Used per token"}, cells, {false, true, true});
    page.close();
  }
  if (!costs.figures.empty()) {
    std::vector<std::vector<std::string>> cells;
    for (const auto& [key, value] : costs.figures) cells.push_back({key, value});
    page.open("card");
    page.raw("<h3>Arithmetic and memory</h3>");
    page.table({"", ""}, cells, {false, true});
    page.close();
  }
  page.close();
}

void add_machine(HtmlPage& page, const TextPairs& machine) {
  if (machine.empty()) return;
  page.section("machine", "Machine");
  std::vector<std::vector<std::string>> cells;
  for (const auto& [key, value] : machine) cells.push_back({key, value});
  page.open("card");
  page.table({"", ""}, cells, {false, false});
  page.close();
}

void add_commands(HtmlPage& page, const std::vector<ReportCommand>& commands) {
  if (commands.empty()) return;
  page.section("repeat", "Do it again");
  page.open("card");
  for (const ReportCommand& c : commands)
    page.raw("<div class=\"command\"><p>" + escape_html(c.purpose) +
             (c.page.empty() ? "" : " (<a href=\"" + escape_html(c.page) + "\">its page, once it ran</a>)") +
             "</p><pre>" + escape_html(c.command) + "</pre></div>\n");
  page.close();
}

}  // namespace

std::string report_html(const ReportData& data) {
  HtmlPage page;
  add_scores(page, data.scores);
  add_samples(page, data.samples);
  add_curves(page, data.curves);
  add_routing_section(page, data.routing);
  add_data(page, data.data);
  add_costs(page, data.costs);
  add_machine(page, data.machine);
  add_commands(page, data.commands);
  return page.document(data.title, header_of(data));
}

}  // namespace lyceum
