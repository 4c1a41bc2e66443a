// The loops of packed.inl for sets that have no better ones of their own.

namespace tensorlogic::TENSORLOGIC_SET {

inline void multiply_packed(const PreparedRows& rows, const PackedMatrix& w, int64_t first, int64_t last, float* y,
                            int64_t y_stride) {
  TENSORLOGIC_BY_LAYOUT(w, multiply_rows, rows, w, first, last, y, y_stride);
}

inline void prepare_packed(const float* x, int64_t stride, const PackedMatrix& w, PreparedRows& rows) {
  prepare_any(x, stride, w, rows);
}

}  // namespace tensorlogic::TENSORLOGIC_SET
