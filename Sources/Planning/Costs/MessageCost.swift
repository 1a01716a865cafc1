public import Files

/// The time of one message by its size, T = α + β·bytes (Hockney 1994), in pieces, because transports change their
/// protocol with the size.
public struct MessageCost: Equatable, Sendable {
  /// The line that holds for sizes up to a limit.
  public struct Piece: Equatable, Sendable {
    /// The largest size in bytes; `Int.max` in the last piece.
    public let limit: Int
    /// α in seconds.
    public let latency: Double
    /// β in seconds per byte.
    public let secondsPerByte: Double

    public init(limit: Int, latency: Double, secondsPerByte: Double) {
      self.limit = limit
      self.latency = latency
      self.secondsPerByte = secondsPerByte
    }
  }

  /// Ascending by limit.
  public let pieces: [Piece]
  /// Where one piece ends and the next begins, in bytes.
  public static let breaks = [4096, 32_768]

  /// One line for all sizes.
  ///
  /// - Parameters:
  ///   - latency: seconds.
  ///   - bandwidth: bytes per second.
  public init(latency: Double, bandwidth: Double) {
    pieces = [Piece(limit: .max, latency: latency, secondsPerByte: 1 / bandwidth)]
  }

  package init(pieces: [Piece]) { self.pieces = pieces }

  /// Fits every piece to the measurements in it by least squares of the relative errors; a piece without two of them
  /// takes its neighbour's line.
  ///
  /// - Parameter points: at least two, of different sizes.
  package init(fitting points: [(bytes: Int, seconds: Double)]) {
    let limits = MessageCost.breaks + [.max]
    var lines: [(Double, Double)?] = []
    var low = -1
    for limit in limits {
      lines.append(MessageCost.line(through: points.filter { $0.bytes > low && $0.bytes <= limit }))
      low = limit
    }
    let whole = MessageCost.line(through: points) ?? (0, 0)
    pieces = limits.indices.map { index in
      let near =
        lines[index] ?? lines[..<index].last { $0 != nil } ?? lines[index...].first { $0 != nil } ?? nil
      let (latency, perByte) = near ?? whole
      return Piece(limit: limits[index], latency: latency, secondsPerByte: perByte)
    }
  }

  /// α and β of least relative error, neither below 0; nil for fewer than two sizes.
  private static func line(through points: [(bytes: Int, seconds: Double)]) -> (Double, Double)? {
    guard Set(points.map(\.bytes)).count > 1, points.allSatisfy({ $0.seconds > 0 }) else { return nil }
    // Minimises Σ ((α + β x)/t − 1)².
    var (aa, ab, bb, a1, b1) = (0.0, 0.0, 0.0, 0.0, 0.0)
    for point in points {
      let a = 1 / point.seconds
      let b = Double(point.bytes) / point.seconds
      aa += a * a
      ab += a * b
      bb += b * b
      a1 += a
      b1 += b
    }
    let determinant = aa * bb - ab * ab
    let latency = (a1 * bb - b1 * ab) / determinant
    let perByte = (b1 * aa - a1 * ab) / determinant
    if perByte < 0 { return (a1 / aa, 0) }
    if latency < 0 { return (0, b1 / bb) }
    return (latency, perByte)
  }

  private func piece(_ bytes: Double) -> Piece {
    pieces.first { bytes <= Double($0.limit) } ?? pieces[pieces.count - 1]
  }

  /// α for messages of a size.
  public func latency(bytes: Double) -> Double { piece(bytes).latency }

  /// Seconds for a message of a size.
  public func seconds(bytes: Double) -> Double {
    let piece = piece(bytes)
    return piece.latency + piece.secondsPerByte * bytes
  }

  public var json: JSONValue {
    .array(
      pieces.map {
        [
          "up_to_bytes": $0.limit == .max ? .null : .integer($0.limit), "alpha_seconds": .number($0.latency),
          "beta_seconds_per_byte": .number($0.secondsPerByte),
        ]
      })
  }

  /// Nil where the value is not what ``json`` writes.
  package init?(_ json: JSONValue?) {
    guard case .array(let items)? = json, !items.isEmpty else { return nil }
    var pieces: [Piece] = []
    for item in items {
      guard let latency = item["alpha_seconds"]?.numberValue, latency >= 0,
        let perByte = item["beta_seconds_per_byte"]?.numberValue, perByte >= 0
      else { return nil }
      let limit = item["up_to_bytes"]?.integerValue ?? .max
      guard limit > pieces.last?.limit ?? 0 else { return nil }
      pieces.append(Piece(limit: limit, latency: latency, secondsPerByte: perByte))
    }
    self.pieces = pieces
  }
}
