import Numerics
import Testing

/// Memory that measures itself.
struct WorkspaceTests {
  /// Places that were handed out do not overlap, whatever was asked for before, and keep their values until a reset.
  @Test func placesAreApart() {
    let workspace = Workspace()
    for _ in 0..<3 {
      workspace.reset()
      let counts = [1, 17, 5000, 3, 100_000, 16]
      let places = counts.map { workspace.floats($0) }
      for (index, count) in counts.enumerated() {
        places[index].update(repeating: Float(index), count: count)
      }
      for (index, count) in counts.enumerated() {
        #expect((0..<count).allSatisfy { places[index][$0] == Float(index) })
        #expect(UInt(bitPattern: places[index]) % 64 == 0)
      }
    }
  }

  /// After a reset the most that was in use lies in one piece of memory: the same places are neighbours.
  @Test func aSecondPassAllocatesNothing() {
    let workspace = Workspace()
    for _ in 0..<2 {
      workspace.reset()
      _ = [16, 4096, 65_536, 16].map { workspace.floats($0) }
    }
    workspace.reset()
    let first = workspace.floats(16)
    #expect(workspace.floats(4096) == first + 16)
    #expect(workspace.floats(65_536) == first + 16 + 4096)
    #expect(workspace.floats(16) == first + 16 + 4096 + 65_536)
  }

  /// What is released is handed out again; a piece is another's memory until its workspace is released or reset.
  @Test func releasesAndPieces() {
    let workspace = Workspace()
    let before = workspace.floats(16)
    let mark = workspace.mark
    let released = workspace.floats(16)
    let piece = workspace.piece()
    let ofPiece = piece.floats(16)
    #expect(workspace.piece() !== piece)
    workspace.release(to: mark)
    #expect(workspace.floats(16) == released && released != before)
    #expect(workspace.piece() === piece && piece.floats(16) == ofPiece)
  }
}
