// A test.

var<workgroup> lane_values_f32_8: array<f32, 8>;

var<workgroup> part_values_f32_2: array<f32, 2>;

// The values of all 8 lanes, folded; every lane gets the same bits.
fn fold_add_f32_8(lane: i32, value: f32) -> f32 {
  lane_values_f32_8[lane] = value;
  workgroupBarrier();
  if (lane < 2) {
    var part = lane_values_f32_8[lane];
    for (var i = lane + 2; i < 8; i += 2) {
      part = part + lane_values_f32_8[i];
    }
    part_values_f32_2[lane] = part;
  }
  workgroupBarrier();
  var total = part_values_f32_2[0];
  for (var i = 1; i < 2; i++) {
    total = total + part_values_f32_2[i];
  }
  return total;
}

var<workgroup> told_bool: bool;

// What one lane holds, told to all: the same lane for all of them.
fn from_lane_bool(lane: i32, value: bool, source: i32) -> bool {
  if (lane == source) {
    told_bool = value;
  }
  return workgroupUniformLoad(&told_bool);
}

// By its bits: a compiler may take every comparison for one of numbers.
fn is_nan_f32(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// The larger, or NaN where one is.
fn max_f32(a: f32, b: f32) -> f32 {
  return select(select(max(a, b), b, is_nan_f32(b)), a, is_nan_f32(a));
}

// The values of all 8 lanes, folded; every lane gets the same bits.
fn fold_max_f32_8(lane: i32, value: f32) -> f32 {
  lane_values_f32_8[lane] = value;
  workgroupBarrier();
  if (lane < 2) {
    var part = lane_values_f32_8[lane];
    for (var i = lane + 2; i < 8; i += 2) {
      part = max_f32(part, lane_values_f32_8[i]);
    }
    part_values_f32_2[lane] = part;
  }
  workgroupBarrier();
  var total = part_values_f32_2[0];
  for (var i = 1; i < 2; i++) {
    total = max_f32(total, part_values_f32_2[i]);
  }
  return total;
}

// The values of all 8 lanes, folded; every lane gets the same bits.
fn fold_mul_f32_8(lane: i32, value: f32) -> f32 {
  lane_values_f32_8[lane] = value;
  workgroupBarrier();
  if (lane < 2) {
    var part = lane_values_f32_8[lane];
    for (var i = lane + 2; i < 8; i += 2) {
      part = part * lane_values_f32_8[i];
    }
    part_values_f32_2[lane] = part;
  }
  workgroupBarrier();
  var total = part_values_f32_2[0];
  for (var i = 1; i < 2; i++) {
    total = total * part_values_f32_2[i];
  }
  return total;
}

// What another lane holds.
fn shuffle_f32_8(lane: i32, value: f32, source: i32) -> f32 {
  lane_values_f32_8[lane] = value;
  workgroupBarrier();
  let result = lane_values_f32_8[source];
  workgroupBarrier();
  return result;
}

// k0: a kernel of a test
struct k0_Sizes {
  T: i32,
  grid: i32,
}
@group(0) @binding(0) var<storage, read> k0_x: array<f32>;
@group(0) @binding(1) var<storage, read_write> k0_y: array<f32>;
@group(0) @binding(2) var<uniform> k0_sizes: k0_Sizes;

@compute @workgroup_size(8)
fn k0(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let lane = i32(thread);
  let g = i32(workgroup.y * workgroups.x + workgroup.x);
  if (g >= k0_sizes.grid) {
    return;
  }
  var state = 0f;
  let shared_ = lane + 8 * g;
  let x_at = k0_x[shared_];
  let agreed = from_lane_bool(lane, fold_add_f32_8(lane, x_at) > 0f, 0);
  if (agreed) {
    state = fold_max_f32_8(lane, k0_x[lane + 8 * g]);
    for (var i_round = 0; i_round < 16; i_round += 8) {
      let i = i_round + lane;
      state = state + fold_mul_f32_8(lane, f32(i));
    }
  }
  k0_y[shared_] = state + shuffle_f32_8(lane, x_at, 7 - lane);
}
