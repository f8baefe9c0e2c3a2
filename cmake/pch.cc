// Empty: the precompiled headers of cmake/folders.cmake belong to this file.
