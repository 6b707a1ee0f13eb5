"""Tables of the admin: how often signing in was tried

Revision: 0009, after: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "admin_try",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_admin_try")),
    )
    op.create_index(op.f("ix_admin_try_last_at"), "admin_try", ["last_at"])


def downgrade() -> None:
    op.drop_table("admin_try")
