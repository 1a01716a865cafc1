/// The experts selected for every row, ascending by expert; a slot may be empty.
public struct SlotTable: Sendable {
  /// The expert of an empty slot.
  public static let empty = -1

  /// Slots of a row.
  public let slots: Int
  /// Rows of the scores that were selected by.
  public let rows: Int
  /// [rows][slots], ``empty`` where no expert is.
  package private(set) var experts: [Int32]

  /// A table of empty slots.
  public init(slots: Int, rows: Int) {
    self.slots = slots
    self.rows = rows
    experts = Array(repeating: Int32(SlotTable.empty), count: rows * slots)
  }

  /// The expert in a slot of a row, or ``empty``.
  public subscript(row: Int, slot: Int) -> Int {
    get { Int(experts[row &* slots &+ slot]) }
    set { experts[row &* slots &+ slot] = Int32(newValue) }
  }

  /// Gives the body the places of all slots, [rows][slots].
  package mutating func fill(_ body: (UnsafeMutablePointer<Int32>) -> Void) {
    experts.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { body(base) }
    }
  }
}
