"""Tables of the admin: the chain over the history

Revision: 0005, after: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "admin_history_chain",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("start", sa.String(length=64), nullable=False),
        sa.Column("end", sa.String(length=64), nullable=False),
        sa.Column("end_id", big),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_history_chain")),
    )
    op.create_table(
        "admin_change_digest",
        sa.Column("change_set_id", big, autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["change_set_id"],
            ["admin_change_set.id"],
            name=op.f("fk_admin_change_digest_change_set_id_admin_change_set"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("change_set_id", name=op.f("pk_admin_change_digest")),
    )


def downgrade() -> None:
    op.drop_table("admin_change_digest")
    op.drop_table("admin_history_chain")
