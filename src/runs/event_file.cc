#include "runs/event_file.h"

#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "base/clock.h"
#include "runs/event.pb.h"
#include "runs/metrics.h"

namespace lyceum {
namespace {

namespace pb = tensorboard;

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = c & 1 ? 0x82f63b78u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  return table;
}();

uint32_t masked_crc(const void* data, size_t bytes) {
  const uint32_t c = crc32c(data, bytes);
  return ((c >> 15) | (c << 17)) + 0xa282ead8u;
}

template <class T>
void put(std::string& out, T value) {  // little-endian, as every machine this runs on
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string record(pb::Event& event) {
  event.set_wall_time(calendar_seconds());
  return tf_record(event.SerializeAsString());
}

std::string event_path(const std::string& folder) {
  char host[256] = "localhost";
  if (::gethostname(host, sizeof host - 1) != 0) std::strcpy(host, "localhost");
  // Readers take the files of a folder in the order of their names: two of one second stay in order too.
  static int made = 0;
  char name[400];
  std::snprintf(name, sizeof name, "/events.out.tfevents.%010lld.%s.%d.%d",
                static_cast<long long>(calendar_seconds()), host, static_cast<int>(::getpid()), made++);
  return folder + name;
}

}  // namespace

uint32_t crc32c(const void* data, size_t bytes) {
  const auto* p = static_cast<const unsigned char*>(data);
  uint32_t c = ~0u;
  for (size_t i = 0; i < bytes; ++i) c = kCrcTable[(c ^ p[i]) & 255] ^ (c >> 8);
  return ~c;
}

std::string tf_record(const std::string& payload) {
  std::string out;
  out.reserve(payload.size() + 16);
  put<uint64_t>(out, payload.size());
  put<uint32_t>(out, masked_crc(out.data(), 8));
  out += payload;
  put<uint32_t>(out, masked_crc(payload.data(), payload.size()));
  return out;
}

EventWriter::EventWriter(const std::string& folder, int64_t resume_step) : file_(event_path(folder), 0) {
  pb::Event version;
  version.set_file_version("brain.Event:2");
  std::string head = record(version);
  if (resume_step > 0) {
    pb::Event start;
    start.set_step(resume_step + 1);
    start.mutable_session_log()->set_status(1);
    head += record(start);
  }
  file_.append(head);
}

void EventWriter::scalars(int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  pb::Event event;
  event.set_step(step);
  for (const auto& [tag, x] : values) {
    pb::Summary::Value* value = event.mutable_summary()->add_value();
    value->set_tag(tag);
    value->set_simple_value(static_cast<float>(x));
  }
  file_.append(record(event));
}

void EventWriter::histogram(int64_t step, const std::string& tag, std::span<const double> counts) {
  pb::Event event;
  event.set_step(step);
  pb::Summary::Value* value = event.mutable_summary()->add_value();
  value->set_tag(tag);
  pb::Histogram* h = value->mutable_histo();
  h->set_min(0);
  h->set_max(static_cast<double>(counts.size()));
  double num = 0, sum = 0, squares = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double middle = static_cast<double>(i) + 0.5;
    num += counts[i];
    sum += counts[i] * middle;
    squares += counts[i] * middle * middle;
    h->add_bucket_limit(static_cast<double>(i + 1));
    h->add_bucket(counts[i]);
  }
  h->set_num(num);
  h->set_sum(sum);
  h->set_sum_squares(squares);
  file_.append(record(event));
}

void EventWriter::text(int64_t step, const std::string& tag, const std::string& markdown) {
  pb::Event event;
  event.set_step(step);
  pb::Summary::Value* value = event.mutable_summary()->add_value();
  value->set_tag(tag);
  value->mutable_metadata()->mutable_plugin_data()->set_plugin_name("text");
  pb::Tensor* tensor = value->mutable_tensor();
  tensor->set_dtype(7);
  tensor->mutable_tensor_shape()->add_dim()->set_size(1);
  tensor->add_string_val(markdown);
  file_.append(record(event));
}

void EventWriter::step(const StepMetrics& row) {
  std::vector<std::pair<std::string, double>> values = {
      {"train/loss", row.loss},
      {"train/lr", row.lr},
      {"train/gradient_norm", row.gradient_norm},
      {"train/tokens", static_cast<double>(row.tokens)},
      {"train/skipped", row.skipped ? 1.0 : 0.0},
      {"speed/tokens_per_second", row.tokens_per_second},
      {"speed/tflops", row.tflops},
      {"speed/share_of_peak", row.share_of_peak},
      {"speed/seconds", row.seconds},
      {"memory/gibibytes", row.memory_bytes / 1073741824.0}};
  if (!row.layers.empty())
    for (const char* name :
         {"worst_load", "mean_entropy", "dead_experts", "balance_loss", "z_loss", "dropped"})
      values.emplace_back(std::string("experts/") + name, metric_value(row, name));
  for (size_t layer = 0; layer < row.layers.size(); ++layer) {
    char suffix[40];
    std::snprintf(suffix, sizeof suffix, "/layer_%02zu", layer);
    const LayerMetrics& m = row.layers[layer];
    values.emplace_back(std::string("load_max_over_mean") + suffix, m.load_max_over_mean);
    values.emplace_back(std::string("router_entropy") + suffix, m.router_entropy);
    values.emplace_back(std::string("dead_experts_by_layer") + suffix, m.dead_experts);
  }
  for (const auto& [domain, bits] : row.held_out)
    values.emplace_back("held_out_bits_per_byte/" + domain, bits);
  for (const auto& [name, x] : row.extra) values.emplace_back("extra/" + name, x);
  scalars(row.step, values);
}

}  // namespace lyceum
