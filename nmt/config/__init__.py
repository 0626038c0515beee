"""The settings of a run: `sections` lists them with their ranges, `parser` reads them."""

from nmt.config.options import DecodingConfig, SearchOptions
from nmt.config.parser import (
    Overrides,
    changed_keys,
    check_config,
    dump_config,
    flat_config,
    load_config,
    load_stored_config,
    parse_config,
)
from nmt.config.sections import (
    BleuTokenizer,
    CellName,
    ColumnsConfig,
    Config,
    DataConfig,
    DistillConfig,
    FiltersConfig,
    ModelConfig,
    Place,
    TokenizerConfig,
    TrainingConfig,
)
