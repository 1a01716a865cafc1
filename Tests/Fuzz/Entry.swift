internal import Foundation

// What libFuzzer, whose main this is linked with, calls; see https://llvm.org/docs/LibFuzzer.html. In a file that is not the
// only one: of a single file the compiler would make a main.

nonisolated(unsafe) private var fuzz: Fuzz?

@_cdecl("LLVMFuzzerInitialize")
func initialise(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>
) -> CInt {
  fuzz = Fuzz(ProcessInfo.processInfo.environment)
  return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  fuzz?.test(UnsafeBufferPointer(start: bytes, count: size))
  return 0
}
