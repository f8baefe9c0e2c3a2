// Routing in the report: from counts to figures, from figures to pictures (report.h, report_parts.h).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "analysis/report_parts.h"
#include "analysis/routing.h"
#include "analysis/svg.h"
#include "base/error.h"

namespace lyceum {
namespace {

// Experts of the strongest pairs, in rising order.
std::vector<int64_t> most_together(const std::vector<double>& together, int64_t n, size_t wanted) {
  std::vector<int64_t> all(static_cast<size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  if (all.size() <= wanted) return all;
  std::vector<double> best(all.size());
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      if (i != j)
        best[static_cast<size_t>(i)] =
            std::max({best[static_cast<size_t>(i)], together[static_cast<size_t>(i * n + j)],
                      together[static_cast<size_t>(j * n + i)]});
  std::stable_sort(all.begin(), all.end(), [&](int64_t a, int64_t b) {
    return best[static_cast<size_t>(a)] > best[static_cast<size_t>(b)];
  });
  all.resize(wanted);
  std::sort(all.begin(), all.end());
  return all;
}

RoutingLayer layer_of(const RoutingCounts& counts, int64_t layer, const RoutingReportOptions& options) {
  RoutingLayer out;
  const int64_t n = counts.shape().n_experts;
  const LoadFigures load = counts.load(layer);
  const auto expert_counts = counts.counts(layer);
  const double sum =
      static_cast<double>(std::accumulate(expert_counts.begin(), expert_counts.end(), int64_t{0}));
  for (const int64_t c : expert_counts)
    out.load.push_back(sum > 0 ? static_cast<double>(c) / sum * static_cast<double>(n) : 0);
  out.layer = layer, out.entropy = load.entropy, out.dead = load.dead;
  out.domain_share = counts.domain_specialisation(layer);
  out.concentration = concentration_curve(expert_counts);
  const std::vector<double> together = counts.co_activation(layer);
  out.shown_experts = most_together(together, n, options.shown_experts);
  for (const int64_t i : out.shown_experts)
    for (const int64_t j : out.shown_experts)
      out.co_activation.push_back(i == j ? NAN : together[static_cast<size_t>(i * n + j)]);
  if (counts.shape().vocab > 0)
    for (int role = 0; role < kTokenRoles; ++role)
      out.vocabulary.push_back(counts.vocabulary_specialisation(layer, static_cast<TokenRole>(role)));
  return out;
}

// First, middle and last: layers differ most from end to end.
std::vector<size_t> chosen_layers(size_t n) {
  std::vector<size_t> out;
  for (const size_t i : {size_t{0}, n / 2, n - 1})
    if (n > 0 && std::find(out.begin(), out.end(), i) == out.end()) out.push_back(i);
  return out;
}

std::vector<std::string> expert_names(int64_t n) {
  std::vector<std::string> names;
  for (int64_t e = 0; e < n; ++e) names.push_back(std::to_string(e));
  return names;
}

void add_load(HtmlPage& page, const RoutingReport& r) {
  HeatMap map;
  map.title = "Load by layer and expert";
  map.row_label = "layer", map.column_label = "expert";
  map.legend = "of a balanced share";
  map.columns = expert_names(r.n_experts);
  map.scale = HeatScale::kAroundOne;
  map.width = 1020, map.largest_cell = 160;  // few experts: wide cells, not a picture blown up
  int64_t dead = 0;
  for (const RoutingLayer& layer : r.layers) {
    map.rows.push_back(std::to_string(layer.layer));
    map.values.insert(map.values.end(), layer.load.begin(), layer.load.end());
    dead += layer.dead;
  }
  char reading[240];
  std::snprintf(
      reading, sizeof reading,
      "Tokens of each expert over the mean of its layer. Neutral is balanced, warm is busy, cool is idle. %s",
      dead == 0 ? "No expert is dead." : (std::to_string(dead) + " experts never got a token.").c_str());
  page.figure("Load", heat_map(map), reading, true);
}

void add_domains(HtmlPage& page, const RoutingReport& r) {
  if (r.domains.empty()) return;
  const double uniform = static_cast<double>(r.top_k) / static_cast<double>(r.n_experts);
  for (const size_t i : chosen_layers(r.layers.size())) {
    const RoutingLayer& layer = r.layers[i];
    if (layer.domain_share.size() != r.domains.size() * static_cast<size_t>(r.n_experts)) continue;
    ColumnRows columns;
    columns.title = "Domain specialisation, layer " + std::to_string(layer.layer);
    columns.row_label = "domain", columns.column_label = "expert";
    columns.rows = r.domains, columns.columns = expert_names(r.n_experts);
    columns.values = layer.domain_share;
    columns.references = {{uniform, ""}};
    columns.percent = true;
    char reading[200];
    std::snprintf(reading, sizeof reading,
                  "Share of each domain's tokens that choose the expert. Dashed: %.1f %%, where every domain "
                  "would be if "
                  "the router did not care.",
                  100 * uniform);
    page.figure(columns.title, column_rows(columns), reading, true);
  }
}

void add_together(HtmlPage& page, const RoutingReport& r) {
  if (r.top_k < 2) return;
  page.open("thirds");
  for (const size_t i : chosen_layers(r.layers.size())) {
    const RoutingLayer& layer = r.layers[i];
    HeatMap map;
    map.title = "Co-activation, layer " + std::to_string(layer.layer);
    map.row_label = map.column_label = "expert";
    map.legend = "choose both";
    for (const int64_t e : layer.shown_experts) map.rows.push_back(std::to_string(e));
    map.columns = map.rows;
    map.values = layer.co_activation;
    map.percent = true, map.decimals = 1;
    map.width = 320, map.largest_cell = 44;
    page.figure("Co-activation, layer " + std::to_string(layer.layer), heat_map(map),
                "Of the tokens that choose the row's expert, the share that also choose the column's." +
                    std::string(layer.shown_experts.size() < static_cast<size_t>(r.n_experts)
                                    ? " The experts with the strongest pairs are shown."
                                    : ""));
  }
  page.close();
}

void add_saturation(HtmlPage& page, const RoutingReport& r) {
  if (r.saturation.empty()) return;
  LineChart chart;
  chart.title = "Router saturation";
  chart.width = 320, chart.height = 270;
  chart.zero_based = true, chart.percent = true;
  bool tokens = true;
  for (const SaturationPoint& p : r.saturation) tokens &= p.tokens > 0;
  chart.x_label = tokens ? "tokens" : "step";
  chart.references = {{static_cast<double>(r.top_k) / static_cast<double>(r.n_experts), "chance"}};
  for (const size_t i : chosen_layers(r.layers.size())) {
    LineSeries s{"layer " + std::to_string(r.layers[i].layer), {}, {}, false, -1};
    for (const SaturationPoint& p : r.saturation) {
      s.x.push_back(tokens ? p.tokens : p.step);
      s.y.push_back(i < p.by_layer.size() ? p.by_layer[i] : NAN);
    }
    chart.series.push_back(std::move(s));
  }
  LineSeries mean{"all layers", {}, {}, true, 7};
  for (const SaturationPoint& p : r.saturation) {
    double sum = 0, n = 0;
    for (const double v : p.by_layer)
      if (std::isfinite(v)) sum += v, ++n;
    mean.x.push_back(tokens ? p.tokens : p.step);
    mean.y.push_back(n > 0 ? sum / n : NAN);
  }
  if (r.layers.size() > 1) chart.series.push_back(std::move(mean));
  page.figure(
      "Router saturation", line_chart(chart),
      "Share of each token's experts that the final checkpoint chooses too: how early the router settles.");
}

void add_concentration(HtmlPage& page, const RoutingReport& r) {
  LineChart chart;
  chart.title = "Concentration of load";
  chart.width = 320, chart.height = 270;
  chart.x_label = "experts kept, busiest first";
  chart.zero_based = true, chart.percent = true;
  for (const size_t i : chosen_layers(r.layers.size())) {
    LineSeries s{"layer " + std::to_string(r.layers[i].layer), {}, {}, false, -1};
    for (size_t m = 0; m < r.layers[i].concentration.size(); ++m) {
      s.x.push_back(static_cast<double>(m + 1));
      s.y.push_back(r.layers[i].concentration[m]);
    }
    if (!s.x.empty()) chart.series.push_back(std::move(s));
  }
  if (chart.series.empty()) return;
  LineSeries even{"balanced",
                  {1, static_cast<double>(r.n_experts)},
                  {1.0 / static_cast<double>(r.n_experts), 1},
                  true,
                  7};
  chart.series.push_back(std::move(even));
  page.figure("Concentration", line_chart(chart),
              "Share of all choices that the busiest experts serve: what a cache of that many would hit.");
}

void add_vocabulary(HtmlPage& page, const RoutingReport& r) {
  BarChart bars;
  bars.title = "Vocabulary specialisation by layer";
  bars.percent = true, bars.decimals = 0;
  bars.width = 320;
  bars.series = {{"input id", {}, 0}, {"next id", {}, 1}, {"predicted id", {}, 2}};
  for (const size_t i : chosen_layers(r.layers.size())) {
    if (r.layers[i].vocabulary.size() != 3) continue;
    bars.categories.push_back("layer " + std::to_string(r.layers[i].layer));
    for (size_t role = 0; role < 3; ++role) bars.series[role].values.push_back(r.layers[i].vocabulary[role]);
  }
  if (!bars.categories.empty()) {
    bars.references = {{static_cast<double>(r.top_k) / static_cast<double>(r.n_experts), "uniform"}};
    page.figure("Vocabulary specialisation", bar_chart(bars),
                "Mean over ids of the largest share that one expert has of the id's tokens.");
  }
}

// A piece as one line: line ends and tabs as the signs that stand for them, an outer blank as an open box.
std::string visible(const std::string& piece) {
  std::string out;
  for (size_t i = 0; i < piece.size(); ++i) {
    const char c = piece[i];
    if (c == '\n') out += "\u21b5";
    else if (c == '\t') out += "\u21e5";
    else if (c == ' ' && (i == 0 || i + 1 == piece.size() || piece[i - 1] == ' ')) out += "\u2423";
    else out += c;
  }
  return out;
}

void add_words(HtmlPage& page, const RoutingReport& r) {
  if (r.words.empty()) return;
  page.raw(
      "<h3 style=\"margin-top:26px\">What experts read</h3>\n<p class=\"lead\" "
      "style=\"color:var(--ink-2);margin:0 0 "
      "14px;font-size:14px\">Pieces of text that choose the expert most faithfully, with the share of their "
      "occurrences that do.</p>\n");
  page.open("words");
  for (const ExpertWords& w : r.words) {
    page.raw("<div class=\"card\"><span class=\"chip\">layer " + std::to_string(w.layer) + ", expert " +
             std::to_string(w.expert) + "</span>" +
             (w.role == "input" ? "" : " by " + escape_html(w.role) + " id") + "<ol>");
    for (const ExpertWords::Piece& p : w.pieces)
      page.raw("<li title=\"" + std::to_string(p.occurrences) + " occurrences\"><code>" +
               escape_html(visible(p.text)) + "</code><span>" + fixed_number(p.share, 0, true) +
               "</span></li>");
    page.raw("</ol></div>\n");
  }
  page.close();
}

}  // namespace

void add_routing_section(HtmlPage& page, const RoutingReport& r) {
  if (r.layers.empty() || r.n_experts <= 0) return;
  std::string lead = "Each token chooses " + std::to_string(r.top_k) + " of " + std::to_string(r.n_experts) +
                     " experts in every layer.";
  if (r.tokens > 0)
    lead += " Counted on " + short_number(static_cast<double>(r.tokens)) + " held-out tokens.";
  page.section("routing", "What the router learned", lead);
  add_load(page, r);
  add_domains(page, r);
  add_together(page, r);
  page.open("thirds");
  add_saturation(page, r);
  add_vocabulary(page, r);
  add_concentration(page, r);
  page.close();
  add_words(page, r);
}

RoutingReport routing_report(const RoutingCounts& counts, const std::vector<std::string>& domains,
                             const std::function<std::string(int32_t)>& piece,
                             const RoutingReportOptions& options) {
  const RoutingShape& shape = counts.shape();
  check(static_cast<int64_t>(domains.size()) == shape.n_domains, "routing", "wanted names of ",
        shape.n_domains, " domains, got ", domains.size());
  RoutingReport out;
  out.n_experts = shape.n_experts, out.top_k = shape.top_k, out.domains = domains;
  for (int64_t layer = 0; layer < shape.n_layers; ++layer) {
    out.layers.push_back(layer_of(counts, layer, options));
    out.tokens = std::max(out.tokens, counts.tokens(layer));
  }
  if (shape.vocab == 0) return out;
  // The experts whose best pieces are most faithful, over the first, middle and last layer.
  std::vector<std::pair<double, ExpertWords>> candidates;
  for (const size_t i : chosen_layers(out.layers.size()))
    for (int64_t e = 0; e < shape.n_experts; ++e) {
      const auto ids = counts.special_ids(static_cast<int64_t>(i), e, TokenRole::kInput,
                                          options.words_per_expert, options.least_occurrences);
      if (ids.empty()) continue;
      ExpertWords words{static_cast<int64_t>(i), e, "input", {}};
      double faith = 0;
      for (const auto& id : ids) {
        words.pieces.push_back({piece(id.id), id.share, id.occurrences});
        faith += id.share;
      }
      candidates.emplace_back(faith / static_cast<double>(ids.size()), std::move(words));
    }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  if (candidates.size() > options.experts_with_words) candidates.resize(options.experts_with_words);
  std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second.layer, a.second.expert) < std::pair(b.second.layer, b.second.expert);
  });
  for (auto& [faith, words] : candidates) out.words.push_back(std::move(words));
  return out;
}

}  // namespace lyceum
