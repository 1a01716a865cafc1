internal import CLanes
public import KernelInterface

// Convolutions of any odd kernel, one output at a time: for the few that ``convolve(_:weights:into:tile:)`` does not do.

extension Kernels {
  @inline(never)
  public static func convolvePlain(
    _ x: PlaneMap, kernel: Int, weights: UnsafePointer<Float>, into z: PlaneMap, tile: Int
  ) {
    let taps = kernel * kernel
    for output in 0..<z.channels {
      for row in 0..<z.height {
        for column in 0..<z.width {
          var sum = lanes_splat(0)
          for channel in 0..<x.channels {
            let w = weights + (output &* x.channels &+ channel) &* taps
            let start = x.corner(tile, channel) + (row &* x.rowStride &+ column &* x.columnStride)
            for r in 0..<kernel {
              for c in 0..<kernel {
                sum = lanes_fma(
                  lanes_splat(w[r &* kernel &+ c]),
                  lanes_load(start + (r &* x.rowStride &+ c &* x.columnStride)), sum)
              }
            }
          }
          lanes_store(z[tile, output] + (row &* z.rowStride &+ column &* z.columnStride), sum)
        }
      }
    }
  }

  @inline(never)
  public static func addPlainWeightGradient(
    _ x: PlaneMap, _ gradient: PlaneMap, kernel: Int, to weights: Floats
  ) {
    var target = weights
    for output in 0..<gradient.channels {
      for channel in 0..<x.channels {
        for r in 0..<kernel {
          for c in 0..<kernel {
            var sum = lanes_splat(0)
            for tile in 0..<x.tiles {
              let start = x.corner(tile, channel) + (r &* x.rowStride &+ c &* x.columnStride)
              let plane = UnsafePointer(gradient[tile, output])
              for row in 0..<gradient.height {
                for column in 0..<gradient.width {
                  sum = lanes_fma(
                    lanes_load(plane + (row &* gradient.rowStride &+ column &* gradient.columnStride)),
                    lanes_load(start + (row &* x.rowStride &+ column &* x.columnStride)), sum)
                }
              }
            }
            target[0] += lanes_total(sum)
            target += 1
          }
        }
      }
    }
  }
}
