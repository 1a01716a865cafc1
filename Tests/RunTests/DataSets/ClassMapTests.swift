import DataSets
import Testing

struct ClassMapTests {
  /// Class 0 goes to expert 0 by a quarter, class 1 has no sample, class 2 goes to expert 1.
  @Test func cellsAreDarkerTheMoreOfAClassTheyHave() throws {
    let picture = try #require(ClassMap([[1, 0, 0], [3, 0, 7]])).picture
    #expect([picture.width, picture.height, picture.channels] == [48, 32, 1])
    let middles: [Int] = [3, 19, 35]
    let cells: [[UInt8]] = [3, 19].map { (y: Int) in middles.map { picture.pixels[y * 48 + $0] } }
    // 255 − 255/4 = 191.25, and 255 − 3 · 255/4 = 63.75.
    let expected: [[UInt8]] = [[191, 255, 255], [64, 255, 0]]
    #expect(cells == expected)
    #expect(picture.pixels[47] == 224 && picture.pixels[15 * 48] == 224)
  }

  @Test func aTableWithoutCellsHasNone() {
    #expect(ClassMap([]) == nil && ClassMap([[], []]) == nil && ClassMap([[1], [1, 2]]) == nil)
    #expect(ClassMap([[Int](repeating: 1, count: 257)]) == nil)
  }
}
