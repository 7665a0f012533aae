//! Plugins: WebAssembly components, their limits and their worlds
