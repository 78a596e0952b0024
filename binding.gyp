# The same sources as CMakeLists.txt for machines without CMake; scripts/install.mjs runs it through node-gyp, which needs Python.
# Sources are found by the rules of scripts/native/sources.mjs, so a new op needs no line here. No CUDA, no native tests.
{
  'variables': {
    # Contraction stays off: an optimised replay must round exactly where eager did. Kernels ask for fmadd by name.
    'common_flags': [
      '-std=c++20', '-Wall', '-Wextra', '-ffp-contract=off', '-fno-math-errno', '-fno-strict-aliasing',
      '-fvisibility=hidden', '-fvisibility-inlines-hidden', '-fPIC', '-pthread',
    ],
    'engine_flags': ['-O2'],
    'level_flags': ['-O3', '-fno-trapping-math'],
    'level_flags_baseline': ['-O2', '-fno-trapping-math'],
  },
  'target_defaults': {
    'include_dirs': ['native'],
    'cflags_cc': ['<@(common_flags)'],
    # Where node-gyp takes the headers of an installed Node (`nodedir` of npm), the flags that Node itself was built with come along.
    'cflags_cc/': [['exclude', '^-fno-(exceptions|rtti)$'], ['exclude', '^-std='], ['include', '^-std=c\\+\\+20$']],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++20',
      'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
      'OTHER_CPLUSPLUSFLAGS': ['<@(common_flags)'],
    },
  },
  'targets': [
    {
      'target_name': 'tensorkiln_engine',
      'type': 'static_library',
      'sources': ['<!@(node scripts/native/sources.mjs engine)'],
      'cflags_cc': ['<@(engine_flags)'],
      'conditions': [
        ['target_arch=="x64"', { 'defines': ['TK_HAS_baseline=1', 'TK_HAS_avx2=1', 'TK_HAS_avx512=1'] }],
        ['target_arch=="arm64"', { 'defines': ['TK_HAS_neon=1'] }],
        ['target_arch!="x64" and target_arch!="arm64"', { 'defines': ['TK_HAS_baseline=1'] }],
      ],
    },
    {
      'target_name': 'tensorkiln',
      'sources': ['<!@(node scripts/native/sources.mjs binding)'],
      'cflags_cc': ['<@(engine_flags)'],
      'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': [
        'NAPI_VERSION=8', 'NAPI_CPP_EXCEPTIONS', 'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS', 'TENSORKILN_BUILD_TYPE="Release"',
        'TENSORKILN_VERSION="<!(node -p "require(\'./package.json\').version")"',
      ],
      'dependencies': ['tensorkiln_engine'],
      'conditions': [
        ['target_arch=="x64"', { 'dependencies': ['tensorkiln_baseline', 'tensorkiln_avx2', 'tensorkiln_avx512'] }],
        ['target_arch=="arm64"', { 'dependencies': ['tensorkiln_neon'] }],
        ['target_arch!="x64" and target_arch!="arm64"', { 'dependencies': ['tensorkiln_baseline'] }],
        # The module must never leave memory: its threads live as long as the process.
        ['OS=="linux"', { 'ldflags': ['-pthread', '-Wl,-z,nodelete', '-Wl,--exclude-libs,ALL'] }],
      ],
    },
  ],
  'conditions': [
    ['target_arch!="arm64"', {
      'targets': [{
        'target_name': 'tensorkiln_baseline',
        'type': 'static_library',
        'sources': ['<!@(node scripts/native/sources.mjs level)'],
        'defines': ['TK_LEVEL=baseline'],
        'cflags_cc': ['<@(level_flags_baseline)'],
      }],
    }],
    ['target_arch=="x64"', {
      'targets': [
        {
          'target_name': 'tensorkiln_avx2',
          'type': 'static_library',
          'sources': ['<!@(node scripts/native/sources.mjs level)'],
          'defines': ['TK_LEVEL=avx2'],
          'cflags_cc': ['<@(level_flags)', '-mavx2', '-mfma', '-mf16c'],
          'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['-mavx2', '-mfma', '-mf16c'] },
        },
        {
          'target_name': 'tensorkiln_avx512',
          'type': 'static_library',
          'sources': ['<!@(node scripts/native/sources.mjs level)'],
          'defines': ['TK_LEVEL=avx512'],
          'variables': {
            'avx512_flags': [
              '-mavx512f', '-mavx512dq', '-mavx512bw', '-mavx512vl', '-mavx2', '-mfma', '-mf16c',
              '-mprefer-vector-width=512',
            ],
          },
          'cflags_cc': ['<@(level_flags)', '<@(avx512_flags)'],
          'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['<@(avx512_flags)'] },
        },
      ],
    }],
    ['target_arch=="arm64"', {
      'targets': [{
        'target_name': 'tensorkiln_neon',
        'type': 'static_library',
        'sources': ['<!@(node scripts/native/sources.mjs level)'],
        'defines': ['TK_LEVEL=neon'],
        'cflags_cc': ['<@(level_flags)'],
      }],
    }],
  ],
}
