// Reading and writing rows whose element type is asked at run time. Included inside the unnamed namespace of
// an ISA file, after simd_*.h. `at` counts elements from the start of the rows.
template <class Tag>
static inline F get(const ConstRows& r, int64_t at, Tag t) {
  return r.type == DType::kF32 ? load(static_cast<const float*>(r.data) + at, t)
                               : load(static_cast<const bf16*>(r.data) + at, t);
}
template <class Tag>
static inline void put(const Rows& r, int64_t at, F x, Tag t) {
  if (r.type == DType::kF32) store(static_cast<float*>(r.data) + at, x, t);
  else store(static_cast<bf16*>(r.data) + at, x, t);
}
// A register of the row's last `left` columns.
static inline F get_left(const ConstRows& r, int64_t at, int64_t left) {
  return left >= kLanes ? get(r, at, Full{}) : left > 0 ? get(r, at, Tail(left)) : splat(0);
}
static inline void put_left(const Rows& r, int64_t at, F x, int64_t left) {
  if (left >= kLanes) put(r, at, x, Full{});
  else if (left > 0) put(r, at, x, Tail(left));
}
