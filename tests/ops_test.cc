// tensor/: every op's gradient against central differences of its own forward (in f32, over f64 sums), and a
// test that fails when an op is recorded anywhere in src/ without such a check. Oracle: the definition of a
// derivative.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <regex>
#include <set>

#include "base/file.h"
#include "base/threads.h"
#include "moe/balance.h"
#include "moe/dispatch.h"
#include "nn/context.h"

namespace lyceum {
namespace {

std::set<std::string>& checked_ops() {
  static std::set<std::string> names;
  return names;
}

Tensor random_tensor(Shape shape, uint64_t seed, double spread = 1) {
  Tensor t(shape, DType::kF32);
  const RandomKey key(seed);
  for (int64_t i = 0; i < t.elements(); ++i)
    t.f32()[i] = static_cast<float>(spread * key.normal(static_cast<uint64_t>(i)));
  return t;
}

Parameter random_parameter(const char* name, Shape shape, Parameter::Order order, uint64_t seed,
                           int64_t parts = 1) {
  Parameter p = Parameter::make(name, shape, DType::kF32, order, parts);
  const Tensor values = random_tensor({shape.elements()}, seed, 0.5);
  p.write_master(values.f32());
  p.enable_gradient();
  return p;
}

// A function of inputs and parameters to one number; it records on the tape it is given.
using Function = std::function<double(Tape&)>;

// Gradients of f with respect to every element of `inputs` and of the logical values of `parameters`.
void check_gradient(const Function& f, const std::vector<Tensor>& inputs,
                    const std::vector<Parameter*>& parameters, double step = 1e-2, double tolerance = 4e-3) {
  Tape tape(true);
  for (Parameter* p : parameters) p->grad.set_zero();
  f(tape);
  for (const char* op : tape.ops()) checked_ops().insert(op);
  tape.backward();

  const auto value = [&] {
    Tape silent(false);
    return f(silent);
  };
  const auto compare = [&](const std::string& what, const std::vector<float>& found,
                           const std::function<void(size_t, double)>& nudge) {
    std::vector<double> wanted(found.size());
    double largest = 1e-3;
    for (size_t i = 0; i < found.size(); ++i) {
      nudge(i, step);
      const double above = value();
      nudge(i, -2 * step);
      const double below = value();
      nudge(i, step);
      wanted[i] = (above - below) / (2 * step);
      largest = std::max(largest, std::abs(wanted[i]));
    }
    for (size_t i = 0; i < found.size(); ++i)
      ASSERT_NEAR(found[i], wanted[i], tolerance * largest)
          << what << " element " << i << " of " << found.size();
  };
  for (size_t n = 0; n < inputs.size(); ++n) {
    const Tensor gradient = tape.take(inputs[n]);
    ASSERT_TRUE(static_cast<bool>(gradient)) << "input " << n << " got no gradient";
    float* x = inputs[n].f32();
    compare("input " + std::to_string(n), gradient.to_floats(),
            [&](size_t i, double d) { x[i] += static_cast<float>(d); });
  }
  for (Parameter* p : parameters) {
    std::vector<float> values = p->read_master();
    compare(p->name, p->to_logical(p->grad), [&](size_t i, double d) {
      values[i] += static_cast<float>(d);
      p->write_master(values.data());
    });
  }
}

const auto kPlain = Parameter::Order::kPlain;
const auto kPacked = Parameter::Order::kPacked;

TEST(Gradient, EmbeddingPlainAndTied) {
  const std::vector<int32_t> ids = {3, 1, 3, 0};
  const Tensor g = random_tensor({4, 6}, 1);
  for (const auto order : {kPlain, kPacked}) {
    Parameter table = random_parameter("table", {5, 6}, order, 2);
    check_gradient(
        [&](Tape& t) { return ops::inner_product(t, ops::embedding(t, ids, table, DType::kF32), g); }, {},
        {&table});
  }
}

TEST(Gradient, RmsNormWithAndWithoutWeight) {
  const Tensor x = random_tensor({5, 7}, 3), g = random_tensor({5, 7}, 4);
  Parameter w = random_parameter("w", {7}, kPlain, 5);
  check_gradient([&](Tape& t) { return ops::inner_product(t, ops::rms_norm(t, x, &w, 1e-3f), g); }, {x},
                 {&w});
  check_gradient([&](Tape& t) { return ops::inner_product(t, ops::rms_norm(t, x, nullptr, 1e-3f), g); }, {x},
                 {});
}

TEST(Gradient, LayerNormWithAndWithoutWeight) {
  const Tensor x = random_tensor({5, 7}, 3), g = random_tensor({5, 7}, 4);
  Parameter w = random_parameter("w", {7}, kPlain, 5), b = random_parameter("b", {7}, kPlain, 6);
  check_gradient([&](Tape& t) { return ops::inner_product(t, ops::layer_norm(t, x, &w, &b, 1e-3f), g); }, {x},
                 {&w, &b});
  check_gradient(
      [&](Tape& t) { return ops::inner_product(t, ops::layer_norm(t, x, nullptr, nullptr, 1e-3f), g); }, {x},
      {});
}

TEST(Gradient, LinearWithBias) {
  const Tensor x = random_tensor({5, 7}, 3), g = random_tensor({5, 18}, 4);
  Parameter w = random_parameter("w", {18, 7}, kPacked, 5), b = random_parameter("b", {18}, kPlain, 6);
  check_gradient([&](Tape& t) { return ops::inner_product(t, ops::linear(t, x, w, &b), g); }, {x}, {&w, &b});
}

TEST(Gradient, AddHandsOneGradientToBothAndSharedBuffersAreCopiedOnWrite) {
  const Tensor x = random_tensor({3, 4}, 3), g = random_tensor({3, 4}, 4);
  // x reaches the sum three times: twice directly, once through a norm whose gradient is added in place.
  check_gradient(
      [&](Tape& t) {
        const Tensor y = ops::add(t, x, ops::rms_norm(t, x, nullptr, 1e-3f));
        return ops::inner_product(t, ops::add(t, y, x), g);
      },
      {x}, {});
}

TEST(Gradient, ClampAndReshape) {
  const Tensor x = random_tensor({3, 4}, 9), g = random_tensor({6, 2}, 4);
  check_gradient(
      [&](Tape& t) {
        return ops::inner_product(t, ops::reshape(t, ops::clamp(t, x, 0.7f), {6, 2}), g);
      },
      {x}, {}, 1e-3);
}

TEST(Gradient, RopeBothPairings) {
  const Tensor x = random_tensor({4, 12}, 3), g = random_tensor({4, 12}, 4);
  const std::vector<int32_t> positions = {0, 1, 7, 100};
  const auto frequencies = std::make_shared<const std::vector<float>>(std::vector<float>{1.0f, 0.1f});
  for (const bool interleaved : {false, true}) {
    const ops::RopeSpec spec{2, 6, 4, interleaved, 1.3f, frequencies};
    check_gradient([&](Tape& t) { return ops::inner_product(t, ops::rope(t, x, spec, positions), g); }, {x},
                   {});
  }
}

TEST(Gradient, AttentionOverPackedSequencesWithGroupedHeadsAndWindow) {
  const Tensor q = random_tensor({9, 4 * 6}, 1), k = random_tensor({9, 2 * 6}, 2),
               v = random_tensor({9, 2 * 4}, 3);
  const Tensor g = random_tensor({9, 4 * 4}, 4);
  const int32_t offsets[] = {0, 5, 5, 9};
  for (const int64_t window : {0, 3}) {
    kernels::AttentionShape shape;
    shape.n_heads = 4, shape.n_kv_heads = 2, shape.d_head = 6, shape.d_value = 4, shape.scale = 0.4f,
    shape.window = window;
    shape.sequences = 3, shape.q_offsets = shape.k_offsets = offsets;
    check_gradient([&](Tape& t) { return ops::inner_product(t, ops::attention(t, q, k, v, shape), g); },
                   {q, k, v}, {});
  }
}

TEST(Gradient, AttentionWithSinksAndATableOfDistances) {
  const Tensor q = random_tensor({9, 2 * 6}, 1), k = random_tensor({9, 2 * 6}, 2),
               v = random_tensor({9, 2 * 4}, 3);
  const Tensor g = random_tensor({9, 2 * 4}, 4);
  const int32_t offsets[] = {0, 5, 9};
  Parameter sinks = random_parameter("sinks", {2}, kPlain, 5),
            table = random_parameter("table", {3, 2}, kPlain, 6);
  for (const bool causal : {true, false}) {
    kernels::AttentionShape shape;
    shape.n_heads = shape.n_kv_heads = 2, shape.d_head = 6, shape.d_value = 4, shape.scale = 0.4f;
    shape.causal = causal;
    shape.sequences = 2, shape.q_offsets = shape.k_offsets = offsets;
    ops::AttentionExtra extra{&sinks, &table, {}, causal ? 0 : 4};
    for (int64_t d = -extra.zero; d < 5; ++d) extra.bucket.push_back(static_cast<int32_t>(d < 0 ? 2 : d > 1));
    check_gradient(
        [&](Tape& t) { return ops::inner_product(t, ops::attention(t, q, k, v, shape, extra), g); },
        {q, k, v}, {&sinks, &table});
  }
}

TEST(Gradient, ScaledRowsColumnsAndNeighbours) {
  const Tensor x = random_tensor({6, 4}, 1), g = random_tensor({6, 4}, 2), wide = random_tensor({6, 8}, 3);
  Parameter w = random_parameter("w", {4}, kPlain, 4), b = random_parameter("b", {4}, kPlain, 5);
  const std::vector<int32_t> offsets = {0, 2, 3, 6};
  check_gradient([&](Tape& t) { return ops::inner_product(t, ops::scaled(t, x, 1.7f), g); }, {x}, {});
  check_gradient([&](Tape& t) { return ops::inner_product(t, ops::scale_columns(t, x, w, b), g); }, {x},
                 {&w, &b});
  check_gradient([&](Tape& t) { return ops::inner_product(t, ops::with_previous(t, x, offsets), wide); }, {x},
                 {});
}

TEST(Gradient, RowsSharedByHeadsAreSummedOverThem) {
  const Tensor shared = random_tensor({5, 2}, 1), own = random_tensor({5, 3 * 4}, 2),
               g = random_tensor({5, 18}, 3);
  check_gradient([&](Tape& t) { return ops::inner_product(t, ops::join_heads(t, shared, own, 3), g); },
                 {shared, own}, {});
}

// Three experts, one of them without tokens, an edge that capacity dropped.
Routing ragged_routing() {
  Routing r;
  r.tokens = 4, r.n_experts = 3;
  const int32_t first[] = {0, 2, 3, 3, 5}, expert[] = {2, 0, 2, 0, 2};
  const uint8_t kept[] = {1, 1, 1, 0, 1};
  r.first = Tensor::of({5}, DType::kI32, first);
  r.expert = Tensor::of({5}, DType::kI32, expert);
  r.kept = Tensor({5}, DType::kU8);
  std::memcpy(r.kept.data(), kept, 5);
  return r;
}

TEST(Gradient, RoutedFeedForwardWithGatesAndBiases) {
  const Tensor x = random_tensor({4, 5}, 1), gate = random_tensor({5}, 2), g = random_tensor({4, 5}, 3);
  const ops::Slots slots = dispatch(ragged_routing());
  for (const int64_t parts : {2, 1}) {
    Parameter up = random_parameter("up", {3, parts * 6, 5}, kPacked, 4, parts),
              down = random_parameter("down", {3, 5, 6}, kPacked, 5);
    Parameter up_bias = random_parameter("up_bias", {3, parts * 6}, kPlain, 6),
              down_bias = random_parameter("down_bias", {3, 5}, kPlain, 7);
    const ops::FeedForwardWeights w{&up, &down, &up_bias, &down_bias,
                                    parts == 2 ? Activation::kSilu : Activation::kGeluTanh};
    check_gradient(
        [&](Tape& t) { return ops::inner_product(t, ops::routed_feed_forward(t, x, slots, gate, w), g); },
        {x, gate}, {&up, &down, &up_bias, &down_bias});
  }
}

TEST(Gradient, RoutedFeedForwardWithActivationsOfSeveralRows) {
  const Tensor x = random_tensor({4, 5}, 1), gate = random_tensor({5}, 2), g = random_tensor({4, 5}, 3);
  const ops::Slots slots = dispatch(ragged_routing());
  Parameter two = random_parameter("two", {3, 2 * 6, 5}, kPacked, 4, 2),
            three = random_parameter("three", {3, 3 * 6, 5}, kPacked, 5);
  Parameter down = random_parameter("down", {3, 5, 6}, kPacked, 6),
            bias = random_parameter("bias", {3, 5}, kPlain, 7);
  for (const bool clamped : {true, false}) {
    Parameter* up = clamped ? &two : &three;
    const ops::FeedForwardWeights w{
        up, &down, nullptr, &bias, clamped ? Activation::kClampedSwiglu : Activation::kDoubleGated, 1.5f};
    check_gradient(
        [&](Tape& t) { return ops::inner_product(t, ops::routed_feed_forward(t, x, slots, gate, w), g); },
        {x, gate}, {up, &down, &bias});
  }
}

TEST(Gradient, RoutedFeedForwardWithDropoutInsideTheExperts) {
  const Tensor x = random_tensor({4, 5}, 1), gate = random_tensor({5}, 2), g = random_tensor({4, 5}, 3);
  const ops::Slots slots = dispatch(ragged_routing());
  Parameter up = random_parameter("up", {3, 12, 5}, kPacked, 4, 2),
            down = random_parameter("down", {3, 5, 6}, kPacked, 5);
  Parameter bias = random_parameter("bias", {3, 5}, kPlain, 7);
  const ops::FeedForwardWeights w{&up, &down, nullptr, &bias, Activation::kSilu};
  const ops::Dropout dropout{0.4f, RandomKey(11)};
  Tape silent(false);
  EXPECT_NE(ops::routed_feed_forward(silent, x, slots, gate, w, dropout).to_floats(),
            ops::routed_feed_forward(silent, x, slots, gate, w).to_floats());
  check_gradient(
      [&](Tape& t) {
        return ops::inner_product(t, ops::routed_feed_forward(t, x, slots, gate, w, dropout), g);
      },
      {x, gate}, {&up, &down, &bias});
}

TEST(Gradient, DenseFeedForward) {
  const Tensor x = random_tensor({4, 5}, 1), g = random_tensor({4, 5}, 3);
  Parameter up = random_parameter("up", {12, 5}, kPacked, 4, 2),
            down = random_parameter("down", {5, 6}, kPacked, 5);
  const ops::FeedForwardWeights w{&up, &down, nullptr, nullptr, Activation::kSilu};
  check_gradient([&](Tape& t) { return ops::inner_product(t, ops::feed_forward(t, x, w), g); }, {x},
                 {&up, &down});
}

TEST(Gradient, SoftmaxAndChosenGatesOfRaggedEdgesDividedByNothingAllOrWhatWasKept) {
  const Tensor x = random_tensor({4, 3}, 1), g = random_tensor({5}, 2);
  const Routing r = ragged_routing();
  for (const auto sum : {ops::GateSum::kNone, ops::GateSum::kChosen, ops::GateSum::kKept})
    check_gradient(
        [&](Tape& t) {
          return ops::inner_product(t, ops::chosen_gates(t, ops::softmax(t, x), r.list(), sum, 2.5f), g);
        },
        {x}, {});
}

TEST(Gradient, SigmoidNormalisedRowsAndScaledRows) {
  const Tensor x = random_tensor({4, 5}, 1), s = random_tensor({4, 1}, 2), g = random_tensor({4, 5}, 3);
  check_gradient(
      [&](Tape& t) { return ops::inner_product(t, ops::normalise_rows(t, ops::sigmoid(t, x)), g); }, {x}, {});
  check_gradient([&](Tape& t) { return ops::inner_product(t, ops::scale_rows(t, x, s), g); }, {x, s}, {});
}

TEST(Gradient, RoundingToBf16PassesARoundedGradient) {
  Tensor x({2, 3}, DType::kF32), g({2, 3}, DType::kF32);
  for (int i = 0; i < 6; ++i) x.f32()[i] = 0x1p-6f * (10 * i - 25), g.f32()[i] = 0.25f * (i - 2);  // exact
  check_gradient([&](Tape& t) { return ops::inner_product(t, ops::round_to_bf16(t, x), g); }, {x}, {},
                 0x1p-6);
}

// Gates and the router's own losses, with fixed noise, with respect to inputs and parameters.
TEST(Gradient, GatesAndLossesOfEveryRouter) {
  const Tensor x = random_tensor({6, 5}, 13);  // no choice of any router is near a tie
  const Batch batch = [] {
    Batch b;
    for (int32_t t = 0; t < 6; ++t) b.ids.push_back(t), b.positions.push_back(t), b.domains.push_back(0);
    b.offsets = {0, 6};
    return b;
  }();
  for (const RouterKind& kind : router_table()) {
    SCOPED_TRACE(kind.name);
    RouterOptions o;
    o.router = kind.name, o.d_model = 5, o.n_experts = 6, o.vocab = 6;
    if (o.router == "random_routed") o.n_domains = 1;
    const bool one =
        o.router == "switch" || o.router == "base" || o.router == "hash" || o.router == "random_routed";
    o.top_k = one ? 1 : 2;
    o.renormalise = kind.uses & kUsesRenormalise;
    if (o.router == "hierarchical") o.groups = 2, o.kept_groups = 1;
    if (kind.uses & kUsesCapacity) o.capacity = "none";
    if (kind.uses & kUsesJitter) o.jitter = 0.1;
    if (kind.uses & kUsesThreshold) o.threshold = 0.25;
    ParameterList parameters(DType::kF32);
    const auto router = make_router(o, "mlp", parameters);
    std::vector<Parameter*> trained;
    uint64_t seed = 20;
    for (Parameter* p : parameters.all()) {
      if (!p->trained) continue;
      const Tensor values = random_tensor({p->elements()}, seed++, o.router == "attention" ? 0.5 : 1.5);
      p->write_master(values.f32());
      p->enable_gradient();
      trained.push_back(p);
    }
    // Training, where noise acts; sparsemixer's gradient of drawn experts is no derivative.
    const Phase phase = kind.uses & kUsesThreshold ? Phase::kEvaluation : Phase::kTraining;
    const auto objective = [&](Tape& t) {
      Context c{t, batch};
      c.phase = phase;
      const Routing r = router->route(c, x, 0);
      Tensor g(r.gate.shape(), DType::kF32);
      for (int64_t i = 0; i < g.elements(); ++i) g.f32()[i] = static_cast<float>(0.3 * i - 1);
      double sum = ops::inner_product(t, r.gate, g);
      const float one = 1;
      for (const Tensor& loss : {r.importance, r.load_loss})
        if (loss) sum += ops::inner_product(t, loss, Tensor::of({1}, DType::kF32, &one));
      return sum;
    };
    std::vector<Tensor> inputs;
    if (!trained.empty()) inputs.push_back(x);
    check_gradient(objective, inputs, trained, 2e-3, 6e-3);
  }
}

TEST(Gradient, LinearLogProb) {
  const Tensor x = random_tensor({4, 5}, 1), g = random_tensor({4}, 2), z = random_tensor({4}, 3);
  const std::vector<int32_t> targets = {2, -1, 0, 18};
  Parameter w = random_parameter("head", {19, 5}, kPacked, 4);
  check_gradient(
      [&](Tape& t) {
        const ops::LogProb out = ops::linear_log_prob(t, x, w, 0.7f, targets);
        return ops::inner_product(t, out.log_prob, g) + ops::inner_product(t, out.logsumexp, z);
      },
      {x}, {&w});
}

TEST(Gradient, LinearCrossEntropyWithZLoss) {
  const Tensor x = random_tensor({4, 5}, 1);
  const std::vector<int32_t> targets = {2, -1, 0, 18};
  const std::vector<float> weights = {0.5f, 0, 0.25f, 0.25f};
  Parameter w = random_parameter("head", {19, 5}, kPacked, 4);
  check_gradient(
      [&](Tape& t) {
        const ops::CrossEntropy out = ops::linear_cross_entropy(t, x, w, 0.7f, targets, weights, 0.1f);
        return out.loss + 0.1 * out.z_loss;
      },
      {x}, {&w});
}

TEST(Gradient, OutputMatrixWithABias) {
  const Tensor x = random_tensor({4, 5}, 1), g = random_tensor({4}, 2), z = random_tensor({4}, 3);
  const std::vector<int32_t> targets = {2, -1, 0, 18};
  const std::vector<float> weights = {0.5f, 0, 0.25f, 0.25f};
  Parameter w = random_parameter("head", {19, 5}, kPacked, 4), b = random_parameter("bias", {19}, kPlain, 5);
  check_gradient(
      [&](Tape& t) {
        const ops::LogProb out = ops::linear_log_prob(t, x, w, 0.7f, targets, &b);
        return ops::inner_product(t, out.log_prob, g) + ops::inner_product(t, out.logsumexp, z);
      },
      {x}, {&w, &b});
  check_gradient(
      [&](Tape& t) { return ops::linear_cross_entropy(t, x, w, 0.7f, targets, weights, 0.0f, &b).loss; }, {x},
      {&w, &b});
}

TEST(Gradient, BalanceLossesInEveryForm) {
  const Tensor a = random_tensor({6, 4}, 1), b = random_tensor({6, 4}, 2);
  std::vector<int32_t> first, experts;
  for (int32_t t = 0; t <= 6; ++t) first.push_back(2 * t);
  for (int32_t e = 0; e < 12; ++e) experts.push_back((e * e + e / 2) % 4);
  for (size_t i = 0; i < balance_form_names().size(); ++i) {
    const BalanceForm form = static_cast<BalanceForm>(i);
    SCOPED_TRACE(balance_form_names()[i]);
    check_gradient(
        [&](Tape& t) {
          std::vector<Routing> routings;
          for (const Tensor& logits : {a, b}) {
            Routing r;
            r.tokens = 6, r.n_experts = 4, r.top_k = 2, r.logits = logits;
            r.probs = ops::softmax(t, logits, &r.logsumexp);
            const int32_t offsets[] = {0, 4, 6};
            r.offsets = Tensor::of({3}, DType::kI32, offsets);
            r.first = Tensor::of({7}, DType::kI32, first.data());
            r.expert = Tensor::of({12}, DType::kI32, experts.data());
            routings.push_back(r);
          }
          const BalanceLosses losses = balance_losses(t, routings, {form, 0.3, 0.2}, 0.5);
          return 0.5 * (0.3 * losses.balance + 0.2 * losses.z);
        },
        {a, b}, {});
  }
}

// Every name given to Tape::record in src/ must have been recorded by a check above. (recomputed_block is
// held by lyceum_goldens, which compares every gradient with and without it.)
TEST(Gradient, ZZEveryRecordedOpHasACheck) {
  const std::regex record("record\\(\\s*\"([a-z_0-9]+)\"");
  std::set<std::string> missing;
  int found = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(LYCEUM_SOURCE_DIR "/src")) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text = read_file(entry.path().string());
    for (std::sregex_iterator it(text.begin(), text.end(), record), end; it != end; ++it, ++found)
      if (!checked_ops().count((*it)[1]) && (*it)[1] != "recomputed_block") missing.insert((*it)[1]);
  }
  EXPECT_GE(found, 14);
  EXPECT_TRUE(missing.empty()) << "without a gradient check: " << *missing.begin();
}

TEST(Tensor, PoolServesTheSameSizesWithoutAskingTheSystem) {
  for (int round = 0; round < 3; ++round) {
    const uint64_t before = pool_statistics().system_calls;
    for (int64_t n : {1, 100, 5000, 3000000}) Tensor t({n}, DType::kF32);
    if (round > 0) {
      EXPECT_EQ(pool_statistics().system_calls, before);
    }
  }
}

TEST(Tensor, ShapesAreCheckedWithBothSidesNamed) {
  const Tensor t({2, 3}, DType::kF32);
  try {
    check_shape(t, {-1, 4}, "op");
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "op: wanted shape [any, 4], found [2, 3]");
  }
}

TEST(Parameter, LogicalAndPhysicalOrderAgreeAndMastersAreExact) {
  for (const DType type : {DType::kF32, DType::kBF16}) {
    Parameter p = Parameter::make("experts", {3, 2 * 5, 7}, type, kPacked, 2);
    p.enable_gradient();
    const Tensor values = random_tensor({3 * 10 * 7}, 1);
    p.write_master(values.f32());
    EXPECT_EQ(p.read_master(), values.to_floats());  // bit for bit: bf16 weights carry a residual
    p.from_logical(values.f32(), p.grad);
    EXPECT_EQ(p.to_logical(p.grad), values.to_floats());
  }
}

}  // namespace
}  // namespace lyceum
